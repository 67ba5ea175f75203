"""Callbacks of partners' clients, what is to be told them, and each try."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    """CREATE TABLE callbacks (
         id uuid PRIMARY KEY, owner_id uuid NOT NULL, client_id text NOT NULL,
         url text NOT NULL CHECK (length(url) <= 500),
         state text NOT NULL CHECK (state IN ('active', 'disabled')),
         secret bytea NOT NULL, previous_secret bytea, previous_until timestamptz,
         registered_at timestamptz NOT NULL,
         UNIQUE (client_id, url))""",
    """CREATE TABLE callback_deliveries (
         id uuid PRIMARY KEY, callback_id uuid NOT NULL REFERENCES callbacks ON DELETE CASCADE,
         owner_id uuid NOT NULL, event_type text NOT NULL,
         payload text NOT NULL CHECK (octet_length(payload) < 20000),
         occurred_at timestamptz NOT NULL,
         state text NOT NULL CHECK (state IN ('waiting', 'delivered', 'parked')),
         attempts int NOT NULL, schedule_from int NOT NULL, next_attempt_at timestamptz NOT NULL,
         settled_at timestamptz)""",
    """CREATE INDEX callback_deliveries_due ON callback_deliveries (next_attempt_at, callback_id)
         WHERE state = 'waiting'""",
    "CREATE INDEX callback_deliveries_parked ON callback_deliveries (occurred_at) WHERE state = 'parked'",
    "CREATE INDEX callback_deliveries_settled ON callback_deliveries (settled_at) WHERE state = 'delivered'",
    "CREATE INDEX callback_deliveries_newest ON callback_deliveries (callback_id, occurred_at DESC, id DESC)",
    """CREATE TABLE callback_attempts (
         delivery_id uuid NOT NULL REFERENCES callback_deliveries ON DELETE CASCADE, number int NOT NULL,
         owner_id uuid NOT NULL, at timestamptz NOT NULL, result text NOT NULL, milliseconds int NOT NULL,
         PRIMARY KEY (delivery_id, number))""",
)
GRANTS = {
    "callbacks": "SELECT, INSERT, UPDATE, DELETE",
    "callback_deliveries": "SELECT, INSERT, UPDATE, DELETE",
    "callback_attempts": "SELECT, INSERT",
}


def upgrade() -> None:
    """Create the tables; a client sees its own rows, residents and staff none."""
    for statement in TABLES:
        op.execute(statement)
    for table, rights in GRANTS.items():
        row_security(op, table, resident="false", staff="false", vendor="owner_id = town_principal()")
        grant(op, table, rights)


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(list(GRANTS)):
        op.execute(f"DROP TABLE {table}")
