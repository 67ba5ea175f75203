"""A record may say that its application was withdrawn."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the mark; nothing before it was a withdrawal."""
    op.execute("ALTER TABLE records ADD COLUMN withdrawn boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE records DROP COLUMN withdrawn")
