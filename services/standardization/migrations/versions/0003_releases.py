"""Released packages on their way back in."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """CREATE TABLE releases (
             id uuid PRIMARY KEY, raw_package_id uuid NOT NULL,
             state text NOT NULL CHECK (state IN ('waiting', 'done', 'held', 'dropped')),
             revision int NOT NULL, attempts int NOT NULL, due_at timestamptz NOT NULL,
             traceparent text, reason text, outcome text)"""
    )
    op.execute("CREATE INDEX releases_due ON releases (due_at) WHERE state = 'waiting'")
    row_security(op, "releases", resident="false")
    grant(op, "releases", "SELECT, INSERT, UPDATE")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE releases")
