"""The kit's tables, the portal's cursor, the applications to carry in and the statuses to carry out."""

from alembic import op

from town_kit.db.migrations import create_kit_tables, drop_kit_tables, grant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    create_kit_tables(op)
    op.execute(
        """CREATE TABLE portals (
             name text PRIMARY KEY, cursor text, failures int NOT NULL DEFAULT 0,
             next_poll_at timestamptz NOT NULL DEFAULT now(), polled_at timestamptz)"""
    )
    op.execute(
        """CREATE TABLE portal_applications (
             id uuid PRIMARY KEY, receipt_no text NOT NULL CHECK (length(receipt_no) BETWEEN 1 AND 64),
             revision text NOT NULL, received_at timestamptz NOT NULL, mynaportal_procedure_id text NOT NULL,
             listed_at timestamptz NOT NULL, attempts int NOT NULL DEFAULT 0, next_attempt_at timestamptz NOT NULL,
             handed_over_at timestamptz, outcome text, application_id uuid, reason text, confirmed_at timestamptz,
             UNIQUE (receipt_no, revision))"""
    )
    op.execute(
        "CREATE INDEX portal_applications_open ON portal_applications (next_attempt_at) WHERE confirmed_at IS NULL"
    )
    op.execute(
        """CREATE TABLE portal_statuses (
             id uuid PRIMARY KEY, receipt_no text NOT NULL, sequence bigint NOT NULL, fact text NOT NULL,
             code text NOT NULL, message text NOT NULL, occurred_at timestamptz NOT NULL,
             attempts int NOT NULL DEFAULT 0, next_attempt_at timestamptz NOT NULL,
             settled_at timestamptz, settlement text,
             UNIQUE (receipt_no, sequence))"""
    )
    op.execute("CREATE INDEX portal_statuses_open ON portal_statuses (next_attempt_at) WHERE settled_at IS NULL")
    for table in ("portals", "portal_applications", "portal_statuses"):
        grant(op, table, "SELECT, INSERT, UPDATE")


def downgrade() -> None:
    """Remove the tables."""
    for table in ("portal_statuses", "portal_applications", "portals"):
        op.execute(f"DROP TABLE {table}")
    drop_kit_tables(op)
