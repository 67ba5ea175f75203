"""The kit's tables: outbox, inbox, idempotency, audit, blobs."""

from alembic import op

from town_kit.db.migrations import create_kit_tables, drop_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    create_kit_tables(op)


def downgrade() -> None:
    """Drop them."""
    drop_kit_tables(op)
