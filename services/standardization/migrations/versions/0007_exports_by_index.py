"""An export finds its records, and what was begun, by an index: a file costs what it holds, not what is stored."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the indexes; the records of a file are read in the order of their positions."""
    op.execute("CREATE INDEX records_of_export ON records (export_id, position) WHERE export_id IS NOT NULL")
    op.execute(
        "CREATE INDEX record_exports_unfinished ON record_exports (business_id, serial) WHERE written_at IS NULL"
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX record_exports_unfinished")
    op.execute("DROP INDEX records_of_export")
