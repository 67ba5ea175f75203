"""The app through which a resident filed an application; its operator may be told how the application goes on."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE applications ADD COLUMN client_id text CHECK (length(client_id) <= 64)")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE applications DROP COLUMN client_id")
