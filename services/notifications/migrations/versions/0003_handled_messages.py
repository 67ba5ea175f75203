"""An index over what staff have handled on the lists of letters and calls."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make it."""
    op.execute(
        """CREATE INDEX messages_handled ON messages (list_name, listed_at, id)
             WHERE state = 'handed_to_staff' AND handled_at IS NOT NULL"""
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX messages_handled")
