"""Every table that holds a person has row security, forced on its owner too; no login role goes past it."""

import asyncpg
import pytest

from town_kit.testing import PostgresServer
from town_onebox.registry import ENTRIES

# A column by one of these names points at a person or repeats her data.
PERSONAL = (
    "person_id",
    "principal",
    "resident_id",
    "subject_id",
    "subjects",
    "filed_by",
    "uploaded_by",
    "party_refs",
    "answers",
    "recipient_id",
    "email",
    "address",
)
TABLES = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public'
   AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ANY($1) AND NOT a.attisdropped)
"""
ROLES = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolbypassrls AND NOT rolsuper AND rolname !~ '_backup$'"


def plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
async def test_tables_with_a_person_have_forced_row_security(postgres_server: PostgresServer, entry: object) -> None:
    urls = postgres_server.create_database(entry.name, entry.migrations)
    connection = await asyncpg.connect(plain(urls.owner_url))
    try:
        tables = await connection.fetch(TABLES, list(PERSONAL))
    finally:
        await connection.close()
    assert tables, "the kit's own tables hold persons"
    open_tables = [t["relname"] for t in tables if not (t["relrowsecurity"] and t["relforcerowsecurity"])]
    assert open_tables == []


async def test_no_login_role_but_a_backup_bypasses_row_security(postgres_server: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres_server.admin_dsn)
    try:
        assert [row["rolname"] for row in await connection.fetch(ROLES)] == []
    finally:
        await connection.close()


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
