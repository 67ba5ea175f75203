"""Applications, their parties, moves and files; uploaded files; receipt numbers; counts; published procedures."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0002"
down_revision = "0001"

TABLES = (
    """CREATE TABLE applications (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         reference text NOT NULL UNIQUE,
         procedure_code text NOT NULL, procedure_version text NOT NULL,
         business_id text NOT NULL, decided_by text NOT NULL,
         channel text NOT NULL, source text NOT NULL, receipt_no text CHECK (length(receipt_no) <= 64),
         state text NOT NULL, status_sequence int NOT NULL,
         received_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL, due_on date,
         filed_by uuid, party_refs jsonb NOT NULL, answers jsonb NOT NULL, my_numbers jsonb NOT NULL,
         signature jsonb, content_digest bytea NOT NULL, revision int NOT NULL, flags jsonb NOT NULL,
         receipt_fiscal_year int, receipt_serial int, receipt_number text,
         decision text, reason_code text, drafted_by uuid,
         UNIQUE (source, receipt_no),
         UNIQUE (receipt_fiscal_year, receipt_serial))""",
    "CREATE INDEX applications_by_arrival ON applications (received_at DESC, id DESC)",
    "CREATE INDEX applications_by_state ON applications (state, received_at DESC, id DESC)",
    "CREATE INDEX applications_by_procedure ON applications (procedure_code, state, received_at DESC, id DESC)",
    """CREATE INDEX applications_unnumbered ON applications (recorded_at, id)
         WHERE receipt_serial IS NULL AND state <> 'pending_verification'""",
    """CREATE INDEX applications_pending ON applications (recorded_at, id) WHERE state = 'pending_verification'""",
    """CREATE TABLE application_parties (
         id uuid PRIMARY KEY, application_id uuid NOT NULL REFERENCES applications, role text NOT NULL,
         person_id uuid, protected boolean NOT NULL DEFAULT false)""",
    "CREATE INDEX application_parties_of_person ON application_parties (person_id, application_id)",
    "CREATE INDEX application_parties_of_application ON application_parties (application_id)",
    """CREATE TABLE application_transitions (
         application_id uuid NOT NULL REFERENCES applications, sequence int NOT NULL,
         from_state text, to_state text NOT NULL, at timestamptz NOT NULL,
         actor_role text NOT NULL, actor_id uuid, reason_code text, note text,
         counted boolean NOT NULL DEFAULT false,
         PRIMARY KEY (application_id, sequence))""",
    """CREATE INDEX application_transitions_uncounted ON application_transitions (application_id, sequence)
         WHERE NOT counted""",
    """CREATE TABLE application_documents (
         id uuid PRIMARY KEY, application_id uuid NOT NULL REFERENCES applications, kind text NOT NULL,
         media_type text NOT NULL, size bigint NOT NULL, blob_id uuid NOT NULL)""",
    "CREATE INDEX application_documents_of_application ON application_documents (application_id)",
    """CREATE TABLE attachments (
         id uuid PRIMARY KEY, uploaded_by uuid NOT NULL, kind text NOT NULL, media_type text NOT NULL,
         size bigint NOT NULL, digest bytea NOT NULL, blob_id uuid NOT NULL,
         uploaded_at timestamptz NOT NULL, used_at timestamptz)""",
    "CREATE INDEX attachments_unused ON attachments (uploaded_at) WHERE used_at IS NULL",
    "CREATE TABLE receipt_counters (fiscal_year int PRIMARY KEY, last_serial int NOT NULL)",
    """CREATE TABLE queue_counts (
         procedure_code text NOT NULL, state text NOT NULL, count bigint NOT NULL,
         PRIMARY KEY (procedure_code, state))""",
    """CREATE TABLE published_procedures (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         code text NOT NULL UNIQUE, published_version text NOT NULL)""",
)

MINE = """EXISTS (SELECT 1 FROM application_parties p
                   WHERE p.application_id = {0} AND p.person_id = town_principal())"""
ANYONE = "town_role() IN ('resident', 'staff', 'service')"
# A resident's new application has no party row yet when it is inserted, so the check asks for a role only.
SECURITY = {
    "applications": (MINE.format("applications.id"), ANYONE),
    "application_parties": ("person_id = town_principal()", ANYONE),
    "application_transitions": (MINE.format("application_transitions.application_id"), ANYONE),
    "application_documents": (MINE.format("application_documents.application_id"), ANYONE),
    "attachments": ("uploaded_by = town_principal()", None),
}
GRANTS = {
    "applications": "SELECT, INSERT, UPDATE",
    "application_parties": "SELECT, INSERT, UPDATE",
    "application_transitions": "SELECT, INSERT, UPDATE (counted)",
    "application_documents": "SELECT, INSERT",
    "attachments": "SELECT, INSERT, UPDATE, DELETE",
    "receipt_counters": "SELECT, INSERT, UPDATE",
    "queue_counts": "SELECT, INSERT, UPDATE",
    "published_procedures": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    """Create the tables with their row security and grants."""
    for statement in TABLES:
        op.execute(statement)
    for table, (resident, check) in SECURITY.items():
        row_security(op, table, resident=resident, check=check)
    for table, rights in GRANTS.items():
        grant(op, table, rights)


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(list(GRANTS)):
        op.execute(f"DROP TABLE {table} CASCADE")
