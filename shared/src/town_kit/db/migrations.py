"""Migrations: one environment for all services, row security from one generator, grants per table.

A migration runs as the owner role. ``FORCE ROW LEVEL SECURITY`` binds the owner too, so each run sets
``town.role`` to ``service`` first; without it an UPDATE of a data migration would touch no row.
"""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from town_kit.failpoints import failpoint

LOCK_TIMEOUT_MS = 5_000
# Readiness asks whether the schema is at head, as the application role.
_SHOW_VERSION = """DO $$ DECLARE app text := regexp_replace(current_user, '_owner$', '_app'); BEGIN
  IF to_regclass('alembic_version') IS NOT NULL AND to_regrole(app) IS NOT NULL THEN
    EXECUTE format('GRANT SELECT ON alembic_version TO %I', app);
  END IF;
END $$"""


def config(migrations: Path, owner_url: str | None = None) -> Config:
    """Alembic's configuration for the folder ``migrations`` of a service, without an ini file."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations))
    settings.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(rev)s_%%(slug)s")
    settings.attributes["url"] = owner_url
    return settings


def upgrade(owner_url: str, migrations: Path, revision: str = "head") -> None:
    """Bring a database to ``revision``. Call it in a thread when a loop is running."""
    command.upgrade(config(migrations, owner_url), revision)


def downgrade(owner_url: str, migrations: Path, revision: str = "base") -> None:
    """Take a database back to ``revision``."""
    command.downgrade(config(migrations, owner_url), revision)


def head(migrations: Path) -> str | None:
    """The newest revision in the folder."""
    return ScriptDirectory.from_config(config(migrations)).get_current_head()


def run_env(metadata: Any = None) -> None:
    """The body of every service's ``migrations/env.py``."""
    url = context.config.attributes["url"]
    asyncio.run(_run(url, metadata))


async def _run(url: str, metadata: Any) -> None:
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate, metadata)
            await connection.commit()
    finally:
        await engine.dispose()


def _migrate(connection: Connection, metadata: Any) -> None:
    connection.execute(text("SELECT set_config('town.role', 'service', false)"))
    connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        on_version_apply=lambda **_: failpoint("mid-migration", str(connection.engine.url.database)),
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text(_SHOW_VERSION))


def create_kit_tables(op: Operations) -> None:
    """The first migration of every service: outbox, inbox, idempotency, audit, blobs, with security and grants."""
    from town_kit.db.tables import GRANTS, kit_statements

    for statement in kit_statements():
        op.execute(statement)
    row_security(
        op,
        "idempotency_keys",
        resident="principal = town_principal()",
        staff="principal = town_principal()",
        vendor="principal = town_principal()",
    )
    row_security(op, "audit_records", resident="false", staff="false", vendor="false", check="true")
    row_security(op, "audit_chain", resident="false", staff="false", vendor="false")
    for table, rights in GRANTS.items():
        grant(op, table, rights)


def drop_kit_tables(op: Operations) -> None:
    """The way back of :func:`create_kit_tables`."""
    from town_kit.db.tables import GRANTS

    for table in ("blob_chunks", "blobs", *(t for t in GRANTS if not t.startswith("blob"))):
        op.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
    op.execute("DROP FUNCTION town_begin(text, text, bigint, bytea), town_principal(), town_role()")


def row_security(
    op: Operations,
    table: str,
    *,
    resident: str,
    staff: str = "true",
    vendor: str = "false",
    check: str | None = None,
) -> None:
    """Give a table that holds a person its row security, forced on the owner too.

    Args:
        op: Alembic's operations.
        table: the table's name.
        resident: SQL condition under which a resident sees a row, e.g. ``person_id = town_principal()``.
        staff: the same for staff.
        vendor: the same for a vendor's client.
        check: what a new or changed row must fulfil; by default what its writer must see.
    """
    using = (
        "CASE town_role() WHEN 'service' THEN true "
        f"WHEN 'staff' THEN ({staff}) WHEN 'resident' THEN ({resident}) WHEN 'vendor' THEN ({vendor}) ELSE false END"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {table}_visible ON {table} USING ({using}) WITH CHECK ({check or using})")


def grant(op: Operations, table: str, rights: str) -> None:
    """Grant the application role (``<name>_app`` beside the running ``<name>_owner``) rights on one table."""
    op.execute(
        f"""DO $$ BEGIN EXECUTE format('GRANT {rights} ON {table} TO %I',
                regexp_replace(current_user, '_owner$', '_app')); END $$"""
    )
