"""Addressees and their history, the My Numbers, hand-overs, standard records, files."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0002"
down_revision = "0001"

TABLES = (
    "CREATE SEQUENCE addressee_numbers",
    "CREATE SEQUENCE integrated_numbers",
    """CREATE TABLE addressees (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         addressee_number text NOT NULL UNIQUE CHECK (length(addressee_number) BETWEEN 1 AND 15),
         integrated_number text NOT NULL UNIQUE,
         resident boolean NOT NULL, person_id uuid UNIQUE, history_number int NOT NULL,
         attributes jsonb NOT NULL, four_key text, merged_into uuid REFERENCES addressees,
         others_may_not_see boolean NOT NULL, operated_at timestamptz NOT NULL)""",
    """CREATE TABLE addressee_histories (
         addressee_id uuid NOT NULL REFERENCES addressees, history_number int NOT NULL,
         attributes jsonb NOT NULL, four_key text, operator_id text NOT NULL, operated_at timestamptz NOT NULL,
         PRIMARY KEY (addressee_id, history_number))""",
    "CREATE INDEX addressee_histories_four ON addressee_histories (four_key) WHERE four_key IS NOT NULL",
    """CREATE TABLE my_numbers (
         id uuid PRIMARY KEY, addressee_id uuid NOT NULL UNIQUE REFERENCES addressees,
         digest bytea NOT NULL UNIQUE, wrapped_key bytea NOT NULL, sealed bytea NOT NULL,
         business_id text NOT NULL, legal_basis text NOT NULL, deposited_at timestamptz NOT NULL)""",
    """CREATE TABLE hand_overs (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         business_id text NOT NULL, procedure_code text NOT NULL, reference text NOT NULL,
         state text NOT NULL CHECK (state IN ('waiting', 'done', 'held', 'dropped')),
         revision int NOT NULL, attempts int NOT NULL, due_at timestamptz NOT NULL,
         accepted_at timestamptz NOT NULL, traceparent text, wrong jsonb NOT NULL)""",
    "CREATE INDEX hand_overs_due ON hand_overs (due_at) WHERE state = 'waiting'",
    "CREATE INDEX hand_overs_by_state ON hand_overs (state, accepted_at, id)",
    """CREATE TABLE record_exports (
         id uuid PRIMARY KEY, business_id text NOT NULL, serial int NOT NULL,
         begun_at timestamptz NOT NULL, written_at timestamptz, UNIQUE (business_id, serial))""",
    """CREATE TABLE records (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         business_id text NOT NULL, key text NOT NULL, history_number int NOT NULL,
         position bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
         application_id uuid NOT NULL, decided_by text NOT NULL, subjects uuid[] NOT NULL,
         content jsonb NOT NULL, operated_at timestamptz NOT NULL, acknowledged_at timestamptz,
         result_id text, decision text CHECK (decision IN ('approved', 'rejected')), reason_code text,
         decided_on date, amount_yen int, valid_from date, valid_to date,
         export_id uuid REFERENCES record_exports,
         UNIQUE (business_id, key, history_number))""",
    "CREATE INDEX records_pull ON records (business_id, position)",
    "CREATE INDEX records_unexported ON records (business_id, position) WHERE export_id IS NULL",
)
BUSINESS = "current_setting('town.business', true)"
NUMBERING = f"{BUSINESS} = '031'"
PURPOSE = "coalesce(current_setting('town.purpose', true), '') <> ''"
SECURITY = {
    "addressees": {"resident": "person_id = town_principal()", "vendor": NUMBERING},
    "addressee_histories": {"resident": "false", "vendor": NUMBERING},
    "my_numbers": {"resident": "false", "staff": PURPOSE, "vendor": NUMBERING},
    "hand_overs": {"resident": "false"},
    "records": {"resident": "false", "vendor": f"business_id = {BUSINESS}"},
}
GRANTS = {
    "addressees": "SELECT, INSERT, UPDATE",
    "addressee_histories": "SELECT, INSERT",
    "my_numbers": "SELECT, INSERT, DELETE",
    "hand_overs": "SELECT, INSERT, UPDATE",
    "record_exports": "SELECT, INSERT, UPDATE",
    "records": "SELECT, INSERT, UPDATE",
    "SEQUENCE addressee_numbers": "USAGE",
    "SEQUENCE integrated_numbers": "USAGE",
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
    for table in ("records", "record_exports", "hand_overs", "my_numbers", "addressee_histories", "addressees"):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP SEQUENCE addressee_numbers, integrated_numbers")
