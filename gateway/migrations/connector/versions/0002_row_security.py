"""What is carried for one person is open to the service alone; nobody else asks this database."""

from alembic import op

from town_kit.db.migrations import row_security

revision = "0002"
down_revision = "0001"

TABLES = ("portal_applications", "portal_statuses")


def upgrade() -> None:
    """Close both tables."""
    for table in TABLES:
        row_security(op, table, resident="false", staff="false")


def downgrade() -> None:
    """Open them again."""
    for table in TABLES:
        op.execute(f"DROP POLICY {table}_visible ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
