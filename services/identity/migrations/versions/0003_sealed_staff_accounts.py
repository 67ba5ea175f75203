"""封印アカウント, their uses and tries; what is known of the staff directory."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0003"
down_revision = "0002"

TABLES = (
    """CREATE TABLE sealed_staff_accounts (
         id uuid PRIMARY KEY, username text NOT NULL UNIQUE, label text NOT NULL, groups jsonb NOT NULL,
         password_hash text NOT NULL, otp_secret_sealed bytea NOT NULL, last_step bigint NOT NULL,
         sealed_at timestamptz NOT NULL, sealed_by text NOT NULL, broken_at timestamptz, opened_until timestamptz,
         opened_by text,         withdrawn_at timestamptz)""",
    """CREATE TABLE sealed_staff_account_uses (
         id uuid PRIMARY KEY, account_id uuid NOT NULL REFERENCES sealed_staff_accounts,
         purpose text NOT NULL, reason text NOT NULL CHECK (length(reason) <= 2000),
         because text NOT NULL CHECK (because IN ('directory-away', 'opened')),
         intended_at timestamptz NOT NULL, issued_at timestamptz,
         reviewed_at timestamptz, reviewed_by text, note text,
         CHECK ((reviewed_at IS NULL) = (reviewed_by IS NULL)))""",
    """CREATE INDEX sealed_staff_account_uses_waiting ON sealed_staff_account_uses (intended_at)
         WHERE reviewed_at IS NULL""",
    """CREATE TABLE sealed_staff_account_tries (
         username_digest bytea PRIMARY KEY, tries int NOT NULL, tried_at timestamptz NOT NULL)""",
    """CREATE TABLE staff_directory_watch (
         issuer text PRIMARY KEY, looked_at timestamptz NOT NULL, away_since timestamptz)""",
)
GRANTS = {
    "sealed_staff_accounts": "SELECT, INSERT, UPDATE",
    "sealed_staff_account_uses": "SELECT, INSERT, UPDATE",
    "sealed_staff_account_tries": "SELECT, INSERT, UPDATE, DELETE",
    "staff_directory_watch": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    """Create the tables, open to the service alone."""
    for statement in TABLES:
        op.execute(statement)
    for table, rights in GRANTS.items():
        row_security(op, table, resident="false", staff="false")
        grant(op, table, rights)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("sealed_staff_account_uses", "sealed_staff_accounts", "sealed_staff_account_tries"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP TABLE staff_directory_watch")
