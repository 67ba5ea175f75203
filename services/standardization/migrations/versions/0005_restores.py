"""What the core systems already have after a restore."""

from alembic import op

from town_kit.db.migrations import grant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table, which names records and no person, and the mark of a record that is not handed out again."""
    op.execute(
        """CREATE TABLE taken_before_restore (
             business_id text NOT NULL, key text NOT NULL, history_number int NOT NULL,
             acknowledged_at timestamptz NOT NULL, PRIMARY KEY (business_id, key, history_number))"""
    )
    grant(op, "taken_before_restore", "SELECT, INSERT")
    op.execute("ALTER TABLE records ADD COLUMN withheld boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    """Take both back."""
    op.execute("ALTER TABLE records DROP COLUMN withheld")
    op.execute("DROP TABLE taken_before_restore")
