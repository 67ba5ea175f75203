"""The highest number of each revocation list."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0004"
down_revision = "0003"

TABLE = """CREATE TABLE revocation_list_numbers (
    issuer text NOT NULL, partition bytea NOT NULL CHECK (octet_length(partition) IN (0, 32)),
    number numeric(49) NOT NULL CHECK (number >= 0), taken_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, partition))"""


def upgrade() -> None:
    """Create the table, open to the service alone."""
    op.execute(TABLE)
    row_security(op, "revocation_list_numbers", resident="false", staff="false")
    grant(op, "revocation_list_numbers", "SELECT, INSERT, UPDATE")


def downgrade() -> None:
    """Drop the table."""
    op.execute("DROP TABLE revocation_list_numbers")
