"""Every table has row security, forced on its owner too, or a reason; no login role goes past it."""

from collections.abc import Mapping

import asyncpg
import pytest

from town_kit.db.provision import login_role
from town_kit.testing import PostgresServer
from town_onebox.databases import BACKUP_ROLE
from town_onebox.registry import ENTRIES

ADMIN = "town_admin"
KIT: Mapping[str, str] = {
    "alembic_version": "the revision of the schema",
    "outbox": "ids and facts of every aggregate; written by whoever acts, read by the relay",
    "inbox": "how far a consumer is",
    "parked_events": "events as they came, with ids and facts; touched by consumers alone",
    "dead_letters": "events as they came, with ids and facts; touched by consumers and operators alone",
    "audit_pending": "ids of records that wait for their link; written by whoever acts",
    "blobs": "sealed content and its key, wrapped; who may open one is asked of the row that names it",
    "blob_chunks": "sealed content",
}
"""Tables of every service without a policy, each with the reason."""
OPEN: Mapping[str, Mapping[str, str]] = {
    "procedures": {
        "published_procedures": "the catalogue, open to everybody",
        "queue_counts": "numbers per procedure and state",
        "receipt_counters": "the last 収受番号 of a year",
    },
    "standardization": {
        "record_exports": "the serial number and time of a file",
        "taken_before_restore": "keys of records that a core system has; empty but after a restore",
    },
    "notifications": {
        "emergency_messages": "what was told to everybody; a resident reads it without being named",
        "procedure_texts": "texts of the catalogue",
        "sent_before_restore": "ids of deliveries; empty but after a restore",
    },
    "gateway": {
        "portals": "one line per portal",
        "rate_limits": "numbers per HMAC of a caller, gone within a minute",
        "webhook_messages": "ids of messages of a portal",
    },
    "connector": {"portals": "one line per portal: how far it was read"},
}
"""Tables of one service without a policy, each with the reason."""
TABLES = """
SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity
       AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS closed
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""
ROLES = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND (rolbypassrls OR rolsuper) AND NOT rolname = ANY($1)"
BORROWED = """
SELECT m.rolname FROM pg_roles m WHERE m.rolcanlogin AND NOT m.rolname = ANY($1)
   AND EXISTS (SELECT FROM pg_roles g WHERE (g.rolbypassrls OR g.rolsuper) AND g.oid <> m.oid
                  AND pg_has_role(m.oid, g.oid, 'MEMBER'))
"""


def plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


async def unprotected(connection: asyncpg.Connection, reasons: Mapping[str, str]) -> list[str]:
    """The tables that are open without a reason, and the reasons that no open table needs."""
    found = {row["name"]: row["closed"] for row in await connection.fetch(TABLES)}
    return [name for name, closed in sorted(found.items()) if not closed and name not in reasons] + [
        f"{name} needs no reason" for name in sorted(reasons) if found.get(name) is not False
    ]


async def going_past(connection: asyncpg.Connection, *named: str) -> list[str]:
    """The login roles that row security does not bind, or that may become such a role."""
    rows = [*await connection.fetch(ROLES, list(named)), *await connection.fetch(BORROWED, list(named))]
    return sorted({row["rolname"] for row in rows})


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
async def test_every_table_has_forced_row_security_or_a_reason(postgres_server: PostgresServer, entry: object) -> None:
    urls = postgres_server.create_database(entry.name, entry.migrations)
    connection = await asyncpg.connect(plain(urls.owner_url))
    try:
        assert await unprotected(connection, {**KIT, **OPEN.get(entry.name, {})}) == []
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "mistake",
    [
        "CREATE TABLE forgotten (id uuid PRIMARY KEY, note text)",
        "CREATE TABLE forgotten (id uuid); ALTER TABLE forgotten ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE staff_accounts NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE refresh_tokens DISABLE ROW LEVEL SECURITY",
        "DROP POLICY persons_visible ON persons",
    ],
)
async def test_a_table_without_it_is_found(postgres_server: PostgresServer, mistake: str) -> None:
    identity = next(entry for entry in ENTRIES if entry.name == "identity")
    urls = postgres_server.create_database(identity.name, identity.migrations)
    connection = await asyncpg.connect(plain(urls.owner_url))
    undone = connection.transaction()
    await undone.start()
    try:
        await connection.execute(mistake)
        found = await unprotected(connection, KIT)
    finally:
        await undone.rollback()
        await connection.close()
    assert len(found) == 1
    assert found[0] in mistake


async def test_no_login_role_but_the_administrator_and_the_backup_goes_past_row_security(
    postgres_server: PostgresServer,
) -> None:
    for entry in ENTRIES:
        postgres_server.create_database(entry.name, entry.migrations)
    connection = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        assert await going_past(connection, ADMIN, BACKUP_ROLE) == []
    finally:
        await connection.close()


@pytest.mark.parametrize("right", ["ALTER ROLE {0} SUPERUSER", "ALTER ROLE {0} BYPASSRLS", f"GRANT {ADMIN} TO {{0}}"])
async def test_a_login_role_that_goes_past_it_is_found(postgres_server: PostgresServer, right: str) -> None:
    connection = await asyncpg.connect(postgres_server.admin_dsn)
    undone = connection.transaction()
    await undone.start()
    try:
        await login_role(connection, "sneaking_backup", "test")
        await connection.execute(right.format("sneaking_backup"))
        found = await going_past(connection, ADMIN, BACKUP_ROLE)
    finally:
        await undone.rollback()
        await connection.close()
    assert found == ["sneaking_backup"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
async def test_the_application_role_owns_nothing(postgres_server: PostgresServer, entry: object) -> None:
    urls = postgres_server.create_database(entry.name, entry.migrations)
    connection = await asyncpg.connect(plain(urls.app_url))
    try:
        owned = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM audit_records")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE audit_chain SET hash = ''")
    finally:
        await connection.close()
    assert owned == 0
