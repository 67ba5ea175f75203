"""Since when an application stands where it stands: an inbox is in the order of what happened last."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column, from each application's last move."""
    op.execute("ALTER TABLE applications ADD COLUMN state_since timestamptz")
    op.execute(
        """UPDATE applications a SET state_since = coalesce(
             (SELECT max(t.at) FROM application_transitions t WHERE t.application_id = a.id), a.recorded_at)"""
    )
    op.execute("ALTER TABLE applications ALTER COLUMN state_since SET NOT NULL")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE applications DROP COLUMN state_since")
