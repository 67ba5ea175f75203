"""Persons and certificates; login challenges, sessions, refresh tokens; staff; client assertions; 番号紐付."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0002"
down_revision = "0001"

TABLES = (
    """CREATE TABLE persons (
         id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL,
         addressee_number text UNIQUE CHECK (length(addressee_number) <= 15),
         merged_into uuid REFERENCES persons, registered_at timestamptz NOT NULL,
         CHECK (merged_into IS NULL OR addressee_number IS NULL))""",
    """CREATE TABLE certificate_serials (
         id uuid PRIMARY KEY, person_id uuid NOT NULL REFERENCES persons,
         issuer text NOT NULL, generation text NOT NULL, purpose text NOT NULL CHECK (purpose IN ('sign', 'auth')),
         serial_digest bytea NOT NULL UNIQUE CHECK (octet_length(serial_digest) = 32), serial_sealed bytea NOT NULL,
         valid_from timestamptz, valid_until timestamptz, first_used_at timestamptz, linked_at timestamptz)""",
    "CREATE INDEX certificate_serials_of_person ON certificate_serials (person_id)",
    """CREATE TABLE login_challenges (
         id uuid PRIMARY KEY, client_id text NOT NULL, nonce bytea NOT NULL CHECK (octet_length(nonce) = 32),
         issued_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, used_at timestamptz)""",
    "CREATE INDEX login_challenges_expiry ON login_challenges (expires_at)",
    """CREATE TABLE resident_sessions (
         id uuid PRIMARY KEY, person_id uuid NOT NULL REFERENCES persons,
         certificate_id uuid NOT NULL REFERENCES certificate_serials,
         client_id text NOT NULL, device_name text NOT NULL,
         created_at timestamptz NOT NULL, last_used_at timestamptz NOT NULL,
         revoked_at timestamptz, revoked_because text)""",
    "CREATE INDEX resident_sessions_of_person ON resident_sessions (person_id, last_used_at DESC)",
    """CREATE TABLE refresh_tokens (
         token_hash bytea PRIMARY KEY, session_id uuid NOT NULL REFERENCES resident_sessions,
         issued_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, used_at timestamptz)""",
    "CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id)",
    "CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at)",
    """CREATE TABLE staff_authorizations (
         state_hash bytea PRIMARY KEY, nonce text NOT NULL, verifier_sealed bytea NOT NULL,
         expires_at timestamptz NOT NULL, used_at timestamptz)""",
    """CREATE TABLE staff_accounts (
         id uuid PRIMARY KEY, issuer text NOT NULL, subject text NOT NULL, groups jsonb NOT NULL,
         created_at timestamptz NOT NULL, last_login_at timestamptz NOT NULL, disabled_at timestamptz,
         UNIQUE (issuer, subject))""",
    """CREATE TABLE client_assertions (
         client_id text NOT NULL, jti text NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (client_id, jti))""",
    "CREATE INDEX client_assertions_expiry ON client_assertions (expires_at)",
    """CREATE TABLE number_links (
         id uuid PRIMARY KEY, version int NOT NULL, state text NOT NULL CHECK (state IN ('previewed', 'applied')),
         uploaded_by uuid NOT NULL, uploaded_at timestamptz NOT NULL, applied_by uuid, applied_at timestamptz,
         summary jsonb NOT NULL, content_sealed bytea)""",
)

# What names a person is open to that person; what opens a door is open to the service alone.
SECURITY = {
    "persons": {"resident": "id = town_principal()"},
    "certificate_serials": {"resident": "person_id = town_principal()"},
    "login_challenges": {"resident": "false", "staff": "false"},
    "resident_sessions": {"resident": "person_id = town_principal()"},
    "refresh_tokens": {"resident": "false", "staff": "false"},
    "staff_authorizations": {"resident": "false", "staff": "false"},
    "staff_accounts": {"resident": "false"},
    "client_assertions": {"resident": "false", "staff": "false"},
    "number_links": {"resident": "false"},
}
GRANTS = {
    "persons": "SELECT, INSERT, UPDATE",
    "certificate_serials": "SELECT, INSERT, UPDATE",
    "login_challenges": "SELECT, INSERT, UPDATE, DELETE",
    "resident_sessions": "SELECT, INSERT, UPDATE",
    "refresh_tokens": "SELECT, INSERT, UPDATE, DELETE",
    "staff_authorizations": "SELECT, INSERT, UPDATE, DELETE",
    "staff_accounts": "SELECT, INSERT, UPDATE",
    "client_assertions": "SELECT, INSERT, DELETE",
    "number_links": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    """Create the tables with their row security and grants."""
    for statement in TABLES:
        op.execute(statement)
    for table, conditions in SECURITY.items():
        row_security(op, table, **conditions)
    for table, rights in GRANTS.items():
        grant(op, table, rights)


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(list(GRANTS)):
        op.execute(f"DROP TABLE {table} CASCADE")
