"""What the outside already has after a restore: deliveries a provider took before."""

from alembic import op

from town_kit.db.migrations import grant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table; it holds ids and no person."""
    op.execute("CREATE TABLE sent_before_restore (delivery_id uuid PRIMARY KEY, noted_at timestamptz NOT NULL)")
    grant(op, "sent_before_restore", "SELECT, INSERT")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE sent_before_restore")
