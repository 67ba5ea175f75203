"""Databases and their roles: ``<name>_owner`` for migrations and ``<name>_app``, which owns nothing.

Run again it changes nothing but the passwords, which are set to those given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from town_kit.db import server

_ROLE = """DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal}) THEN CREATE ROLE {name}; END IF;
END $$"""


@dataclass(frozen=True)
class DatabaseUrls:
    """The addresses of one database: SQLAlchemy URLs, and the plain DSN of the application role."""

    name: str
    app_url: str
    owner_url: str
    app_dsn: str
    owner_dsn: str


async def database(admin_dsn: str, name: str, *, owner_password: str, app_password: str) -> DatabaseUrls:
    """Make the database ``name`` and its two roles, as the superuser of ``admin_dsn``."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        for role, password in ((f"{name}_owner", owner_password), (f"{name}_app", app_password)):
            await login_role(admin, role, password)
        if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await admin.execute(f"CREATE DATABASE {_quoted(name)} OWNER {_quoted(f'{name}_owner')} TEMPLATE template0")
        await admin.execute(f"REVOKE ALL ON DATABASE {_quoted(name)} FROM PUBLIC")
        await admin.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {_quoted(name)} TO {_quoted(f'{name}_app')}")
    finally:
        await admin.close()
    host, port = _address(admin_dsn)
    app = server.dsn(host, port, f"{name}_app", app_password, name)
    owner = server.dsn(host, port, f"{name}_owner", owner_password, name)
    await _close_schema(owner, f"{name}_app")
    return DatabaseUrls(name, server.sqlalchemy_url(app), server.sqlalchemy_url(owner), app, owner)


async def backup_role(admin_dsn: str, name: str, password: str, databases: Sequence[str]) -> None:
    """Make the role that copies the server and reads ``databases``; row security would hide rows from anyone else."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        await login_role(admin, name, password)
        await admin.execute(f"ALTER ROLE {_quoted(name)} BYPASSRLS REPLICATION")
        await admin.execute(f"GRANT pg_read_all_data TO {_quoted(name)}")
        for database_name in databases:
            await admin.execute(f"GRANT CONNECT ON DATABASE {_quoted(database_name)} TO {_quoted(name)}")
    finally:
        await admin.close()


async def standby_role(admin_dsn: str, name: str, password: str, slot: str) -> None:
    """Make the role with which a standby reads the WAL, and the slot that keeps what it has not read yet."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        await login_role(admin, name, password)
        await admin.execute(f"ALTER ROLE {_quoted(name)} REPLICATION")
        if not await admin.fetchval("SELECT true FROM pg_replication_slots WHERE slot_name = $1", slot):
            await admin.execute("SELECT pg_create_physical_replication_slot($1, true)", slot)
    finally:
        await admin.close()


async def login_role(admin: asyncpg.Connection, name: str, password: str) -> None:
    """Make a role that may log in and nothing else, with this password."""
    await admin.execute(_ROLE.format(literal=_literal(name), name=_quoted(name)))
    await admin.execute(
        f"ALTER ROLE {_quoted(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {_literal(password)}"
    )


async def _close_schema(owner_dsn: str, app: str) -> None:
    """Nobody but the owner makes anything in ``public``; the application role may look into it."""
    owner = await asyncpg.connect(owner_dsn)
    try:
        await owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        await owner.execute(f"GRANT USAGE ON SCHEMA public TO {_quoted(app)}")
    finally:
        await owner.close()


def _address(dsn: str) -> tuple[str, int]:
    host, _, port = dsn.rsplit("@", 1)[1].split("/", 1)[0].partition(":")
    return host, int(port)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
