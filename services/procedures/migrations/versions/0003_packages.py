"""Raw packages from the portal, and those that wait for a clerk; documents and parties of a revision are replaced."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0003"
down_revision = "0002"

TABLES = (
    """CREATE TABLE raw_packages (
         id uuid PRIMARY KEY, source text NOT NULL, receipt_no text NOT NULL CHECK (length(receipt_no) <= 64),
         digest bytea NOT NULL, content_digest bytea, blob_id uuid NOT NULL, size bigint NOT NULL,
         received_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL,
         application_id uuid REFERENCES applications,
         UNIQUE (source, receipt_no, digest))""",
    "CREATE INDEX raw_packages_of_application ON raw_packages (application_id)",
    """CREATE TABLE quarantined_packages (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         raw_package_id uuid NOT NULL UNIQUE REFERENCES raw_packages,
         source text NOT NULL, receipt_no text NOT NULL, mynaportal_procedure_id text NOT NULL,
         procedure_code text, reason text NOT NULL, errors jsonb NOT NULL, state text NOT NULL,
         received_at timestamptz NOT NULL, quarantined_at timestamptz NOT NULL,
         application_id uuid REFERENCES applications,
         settled_at timestamptz, settled_by uuid, note text)""",
    "CREATE INDEX quarantined_packages_by_time ON quarantined_packages (state, quarantined_at DESC, id DESC)",
)
GRANTS = {
    "raw_packages": "SELECT, INSERT, UPDATE (application_id)",
    "quarantined_packages": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    """Create the tables; only staff and the town's own services see them."""
    for statement in TABLES:
        op.execute(statement)
    for table, rights in GRANTS.items():
        row_security(op, table, resident="false")
        grant(op, table, rights)
    grant(op, "application_documents", "DELETE")
    grant(op, "application_parties", "DELETE")


def downgrade() -> None:
    """Drop the tables and take the rights back."""
    for table in reversed(list(GRANTS)):
        op.execute(f"DROP TABLE {table} CASCADE")
    for table in ("application_documents", "application_parties"):
        op.execute(
            f"""DO $$ BEGIN EXECUTE format('REVOKE DELETE ON {table} FROM %I',
                    regexp_replace(current_user, '_owner$', '_app')); END $$"""
        )
