"""Messages, deliveries, recipients, emergency messages."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0002"
down_revision = "0001"

TABLES = (
    """CREATE TABLE procedure_texts (
         procedure_code text PRIMARY KEY, version text NOT NULL, titles jsonb NOT NULL, texts jsonb NOT NULL,
         received_at timestamptz NOT NULL)""",
    "CREATE TABLE person_links (from_person_id uuid PRIMARY KEY, to_person_id uuid NOT NULL)",
    """CREATE TABLE devices (
         id uuid PRIMARY KEY, person_id uuid NOT NULL, app text NOT NULL, platform text NOT NULL,
         push_token text NOT NULL CHECK (length(push_token) <= 4096), registered_at timestamptz NOT NULL,
         UNIQUE (app, push_token))""",
    "CREATE INDEX devices_of_person ON devices (person_id)",
    """CREATE TABLE contact_points (
         id uuid PRIMARY KEY, person_id uuid NOT NULL, address text NOT NULL CHECK (length(address) <= 254),
         state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'bounced')),
         registered_at timestamptz NOT NULL, confirmed_at timestamptz,
         issue int NOT NULL, issued_at timestamptz NOT NULL, attempts int NOT NULL,
         code_due_at timestamptz, code_tries int NOT NULL,
         UNIQUE (person_id, address))""",
    "CREATE INDEX contact_points_code_due ON contact_points (code_due_at) WHERE code_due_at IS NOT NULL",
    """CREATE TABLE preferences (
         person_id uuid PRIMARY KEY, version int NOT NULL,
         language text NOT NULL CHECK (language IN ('ja', 'ja-simple', 'en')),
         push boolean NOT NULL, email boolean NOT NULL, quiet_from time, quiet_until time,
         updated_at timestamptz NOT NULL, CHECK ((quiet_from IS NULL) = (quiet_until IS NULL)))""",
    """CREATE TABLE emergency_messages (
         id uuid PRIMARY KEY, version int NOT NULL, reference text NOT NULL UNIQUE,
         status text NOT NULL CHECK (status IN ('actual', 'exercise', 'test')),
         texts jsonb NOT NULL, content_digest text NOT NULL,
         state text NOT NULL CHECK (state IN ('confirmed', 'dispatched', 'cancelled')),
         created_at timestamptz NOT NULL, created_by uuid NOT NULL, valid_until timestamptz NOT NULL,
         reached_to uuid NOT NULL, persons int NOT NULL, withheld jsonb NOT NULL,
         follows uuid REFERENCES emergency_messages, cancelled_at timestamptz, cancelled_by uuid,
         settled boolean NOT NULL)""",
    """CREATE INDEX emergency_messages_open ON emergency_messages (created_at)
         WHERE state = 'confirmed' OR NOT settled""",
    """CREATE TABLE messages (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         person_id uuid, source_event_id uuid, recipient_key text NOT NULL,
         kind text NOT NULL, priority text NOT NULL CHECK (priority IN ('ordinary', 'emergency')),
         language text NOT NULL, template_version text NOT NULL, title text NOT NULL, body text NOT NULL,
         reference text, procedure_code text, application_id uuid,
         emergency_message_id uuid REFERENCES emergency_messages,
         unreached text NOT NULL CHECK (unreached IN ('letters', 'phone', 'expire')),
         state text NOT NULL CHECK (state IN ('queued', 'delivered', 'expired', 'handed_to_staff')),
         created_at timestamptz NOT NULL, hand_over_at timestamptz NOT NULL, valid_until timestamptz NOT NULL,
         ended_at timestamptz, read_at timestamptz,
         list_name text, list_reason text, listed_on date, listed_at timestamptz,
         handled_at timestamptz, handled_by uuid, handling text, handling_note text,
         UNIQUE (source_event_id, recipient_key),
         UNIQUE (emergency_message_id, recipient_key),
         CHECK ((state = 'queued') = (ended_at IS NULL)))""",
    "CREATE INDEX messages_inbox ON messages (person_id, created_at DESC, id DESC)",
    "CREATE INDEX messages_overdue ON messages (hand_over_at) WHERE state = 'queued'",
    """CREATE INDEX messages_on_list ON messages (list_name, listed_at, id)
         WHERE state = 'handed_to_staff' AND handled_at IS NULL""",
    """CREATE TABLE deliveries (
         id uuid PRIMARY KEY, message_id uuid NOT NULL REFERENCES messages, person_id uuid,
         emergency_message_id uuid, channel text NOT NULL CHECK (channel IN ('push', 'email', 'inbox')),
         target_id uuid, lane text NOT NULL CHECK (lane IN ('ordinary', 'emergency')),
         state text NOT NULL CHECK (state IN
           ('queued', 'sending', 'sent', 'failed', 'expired', 'cancelled', 'handed_to_staff')),
         tries int NOT NULL, next_attempt_at timestamptz, last_code text, provider_id text,
         created_at timestamptz NOT NULL, ended_at timestamptz,
         UNIQUE NULLS NOT DISTINCT (message_id, channel, target_id),
         CHECK ((state IN ('queued', 'sending')) = (next_attempt_at IS NOT NULL)))""",
    """CREATE INDEX deliveries_due ON deliveries (lane, channel, next_attempt_at)
         WHERE state IN ('queued', 'sending')""",
    """CREATE INDEX deliveries_of_emergency ON deliveries (emergency_message_id, channel, state)
         WHERE emergency_message_id IS NOT NULL""",
    "CREATE INDEX deliveries_of_person ON deliveries (person_id)",
)

MINE = "person_id = town_principal()"
# Staff see messages and their deliveries, but no device and no address: those are the person's own business.
SECURITY = {
    "person_links": {"resident": "false", "staff": "false"},
    "devices": {"resident": MINE, "staff": "false"},
    "contact_points": {"resident": MINE, "staff": "false"},
    "preferences": {"resident": MINE, "staff": "false"},
    "messages": {"resident": MINE},
    "deliveries": {"resident": MINE},
}
GRANTS = {
    "procedure_texts": "SELECT, INSERT, UPDATE",
    "person_links": "SELECT, INSERT, UPDATE",
    "devices": "SELECT, INSERT, UPDATE, DELETE",
    "contact_points": "SELECT, INSERT, UPDATE, DELETE",
    "preferences": "SELECT, INSERT, UPDATE, DELETE",
    "emergency_messages": "SELECT, INSERT, UPDATE",
    "messages": "SELECT, INSERT, UPDATE",
    "deliveries": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    """Create the tables with their row security and grants."""
    for statement in TABLES:
        op.execute(statement)
    for table, conditions in SECURITY.items():
        row_security(op, table, **conditions)
    for table, rights in GRANTS.items():
        grant(op, table, rights)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("deliveries", *(t for t in reversed(list(GRANTS)) if t != "deliveries")):
        op.execute(f"DROP TABLE {table} CASCADE")
