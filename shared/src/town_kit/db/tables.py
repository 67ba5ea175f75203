"""The tables the kit keeps in every service's database: outbox, inbox, idempotency, audit, blobs."""

from collections.abc import Sequence

from town_kit import blobs
from town_kit.audit import chain, record

FUNCTIONS = (
    """CREATE FUNCTION town_principal() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
       $$ SELECT nullif(current_setting('town.principal', true), '')::uuid $$""",
    """CREATE FUNCTION town_role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
       $$ SELECT coalesce(current_setting('town.role', true), '') $$""",
)

MESSAGING = (
    """CREATE TABLE outbox (
         seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         event_id uuid NOT NULL UNIQUE,
         topic text NOT NULL, key uuid NOT NULL, sequence bigint NOT NULL,
         type text NOT NULL, occurred_at timestamptz NOT NULL, traceparent text,
         data bytea NOT NULL CHECK (octet_length(data) <= 262144),
         snapshot boolean NOT NULL DEFAULT false,
         published_at timestamptz, log_partition int, log_offset bigint,
         UNIQUE (topic, key, sequence))""",
    "CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL",
    "CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL",
    """CREATE TABLE inbox (
         consumer text NOT NULL, topic text NOT NULL, key uuid NOT NULL, sequence bigint NOT NULL,
         PRIMARY KEY (consumer, topic, key))""",
    """CREATE TABLE parked_events (
         consumer text NOT NULL, topic text NOT NULL, key uuid NOT NULL, sequence bigint NOT NULL,
         event_id uuid NOT NULL, headers jsonb NOT NULL, data bytea NOT NULL,
         parked_at timestamptz NOT NULL DEFAULT now(), reason text NOT NULL,
         PRIMARY KEY (consumer, topic, key, sequence))""",
    """CREATE TABLE dead_letters (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         consumer text NOT NULL, topic text NOT NULL, key uuid, sequence bigint, event_id uuid,
         log_partition int, log_offset bigint, headers jsonb NOT NULL, raw bytea NOT NULL, reason text NOT NULL,
         failed_at timestamptz NOT NULL DEFAULT now(), settled_at timestamptz, settlement text)""",
    "CREATE INDEX dead_letters_open ON dead_letters (consumer, topic, key) WHERE settled_at IS NULL",
)

# One round trip at the start of a request. Each statement of a VOLATILE function sees its own snapshot, so the stored
# answer is looked up with one that is younger than the lock: a single statement would miss an answer committed while
# it waited its turn.
BEGINNING = (
    """CREATE FUNCTION town_begin(who text, as_role text, claim_lock bigint, claim bytea)
       RETURNS TABLE (claimed boolean, fingerprint bytea, status int, headers jsonb, body bytea)
       LANGUAGE plpgsql VOLATILE AS $$
       BEGIN
         PERFORM set_config('town.principal', who, true), set_config('town.role', as_role, true);
         IF claim IS NULL THEN
           RETURN QUERY SELECT true, NULL::bytea, NULL::int, NULL::jsonb, NULL::bytea;
         ELSIF NOT pg_try_advisory_xact_lock(claim_lock) THEN
           RETURN QUERY SELECT false, NULL::bytea, NULL::int, NULL::jsonb, NULL::bytea;
         ELSE
           RETURN QUERY SELECT true, k.fingerprint, k.status, k.headers, k.body
             FROM (SELECT 1) AS one LEFT JOIN idempotency_keys k ON k.scope_hash = claim;
         END IF;
       END $$""",
)

IDEMPOTENCY = (
    """CREATE TABLE idempotency_keys (
         scope_hash bytea PRIMARY KEY, principal uuid, fingerprint bytea NOT NULL,
         status int NOT NULL, headers jsonb NOT NULL, body bytea NOT NULL,
         stored_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL)""",
    "CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at)",
)

# What the application role may do; nothing else. Audit rows can be added and read, never changed.
GRANTS = {
    "outbox": "SELECT, INSERT, UPDATE, DELETE",
    "inbox": "SELECT, INSERT, UPDATE",
    "parked_events": "SELECT, INSERT, UPDATE, DELETE",
    "dead_letters": "SELECT, INSERT, UPDATE",
    "idempotency_keys": "SELECT, INSERT, DELETE",
    "audit_records": "SELECT, INSERT",
    "audit_pending": "SELECT, INSERT, DELETE",
    "audit_chain": "SELECT, INSERT",
    "blobs": "SELECT, INSERT, UPDATE, DELETE",
    "blob_chunks": "SELECT, INSERT, DELETE",
}


def kit_statements() -> Sequence[str]:
    """The statements that make the kit's tables, in order."""
    return (*FUNCTIONS, *MESSAGING, *IDEMPOTENCY, *BEGINNING, *record.DDL, *chain.DDL, *blobs.DDL)
