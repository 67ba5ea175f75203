"""The kit's tables, shared rate limits, webhooks that were taken, and the portals to poll."""

from alembic import op

from town_kit.db.migrations import create_kit_tables, drop_kit_tables, grant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# uuid5(NAMESPACE_URL, "urn:town:portal:mynaportal")
MYNAPORTAL = "40999a00-697f-5239-bc7e-4c7fd01521f0"


def upgrade() -> None:
    """Make the tables."""
    create_kit_tables(op)
    op.execute(
        """CREATE UNLOGGED TABLE rate_limits (
             bucket bytea NOT NULL CHECK (octet_length(bucket) = 16),
             window_start bigint NOT NULL, used bigint NOT NULL,
             PRIMARY KEY (bucket, window_start))"""
    )
    op.execute(
        """CREATE TABLE portals (
             id uuid PRIMARY KEY, name text NOT NULL UNIQUE,
             version int NOT NULL DEFAULT 1, event_sequence bigint NOT NULL DEFAULT 0)"""
    )
    op.execute(
        """CREATE TABLE webhook_messages (
             portal text NOT NULL REFERENCES portals (name), message_id text NOT NULL,
             received_at timestamptz NOT NULL, PRIMARY KEY (portal, message_id))"""
    )
    op.execute("CREATE INDEX webhook_messages_received_at ON webhook_messages (received_at)")
    op.execute(f"INSERT INTO portals (id, name) VALUES ('{MYNAPORTAL}', 'mynaportal')")
    grant(op, "rate_limits", "SELECT, INSERT, UPDATE, DELETE")
    grant(op, "portals", "SELECT, UPDATE")
    grant(op, "webhook_messages", "SELECT, INSERT, DELETE")


def downgrade() -> None:
    """Remove the tables."""
    for table in ("webhook_messages", "portals", "rate_limits"):
        op.execute(f"DROP TABLE {table}")
    drop_kit_tables(op)
