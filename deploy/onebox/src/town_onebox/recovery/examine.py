"""Looking into a restored server (控えの検査): rows, schema, audit chains; by the backup role, which sees all."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from town_kit.audit.verify import verify
from town_kit.db import Database, base_backup, server
from town_kit.db.server import Server
from town_kit.db.server_files import account_for_server, data_directory, private_file
from town_onebox.databases import BACKUP_ROLE
from town_onebox.recovery.manifest import Audit, BackupUnsound, Contents
from town_onebox.registry import BY_NAME
from town_onebox.secrets import DATABASES

_TABLES = """SELECT relname FROM pg_class
WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace = 'public'::regnamespace ORDER BY 1"""
_REVISION = "SELECT version_num FROM alembic_version"


@contextmanager
def laid_out(files: Path, directory: Path, password: str) -> Iterator[Server]:
    """The server of a backup, started in ``directory`` for a look and removed again; nothing of it is kept."""
    account = account_for_server()
    directory.mkdir(mode=0o755)
    private_file(directory / "postgres.password", password)
    data = data_directory(directory, account)
    try:
        base_backup.unpack(files, data, account)
        running = server.start(directory, fast=True)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(data.parent, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def examine(port: int, password: str) -> dict[str, Contents]:
    """What stands in every database of the town on this server.

    Args:
        port: of the server on loopback.
        password: of the backup role.

    Raises:
        BackupUnsound: an audit chain does not hold.
    """
    return asyncio.run(_examine(port, password))


async def _examine(port: int, password: str) -> dict[str, Contents]:
    admin = await asyncpg.connect(server.dsn(server.HOST, port, BACKUP_ROLE, password, "postgres"))
    rows = await admin.fetch("SELECT datname, pg_database_size(datname) AS size FROM pg_database")
    await admin.close()
    sizes = {row["datname"]: row["size"] for row in rows if row["datname"] in DATABASES}
    return {name: await _contents(port, password, name, size) for name, size in sorted(sizes.items())}


async def _contents(port: int, password: str, name: str, size: int) -> Contents:
    dsn = server.dsn(server.HOST, port, BACKUP_ROLE, password, name)
    connection = await asyncpg.connect(dsn)
    try:
        tables = [row[0] for row in await connection.fetch(_TABLES)]
        counts = {one: await connection.fetchval(f'SELECT count(*) FROM "{one}"') for one in tables}  # noqa: S608 - names out of the catalogue
        revision = await connection.fetchval(_REVISION) if "alembic_version" in tables else None
    finally:
        await connection.close()
    audit = await _audit(dsn, name) if name in BY_NAME else None
    return Contents(bytes=size, revision=revision, tables=counts, audit=audit)


async def _audit(dsn: str, name: str) -> Audit:
    async with Database(server.sqlalchemy_url(dsn), application="backup").running() as database:
        verdict = await verify(database)
    if verdict.first_bad is not None:
        raise BackupUnsound(f"{name} の監査記録が {verdict.first_bad} 番で壊れています({verdict.reason})。")
    return Audit(links=verdict.checked, head=f"{verdict.head.seq}:{verdict.head.hash.hex()}")
