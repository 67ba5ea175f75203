"""Taking a backup (控えを取る): the whole server at one moment, started once to prove that it can be, keys apart."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg

from town_kit.clock import SystemClock
from town_kit.db import base_backup, provision, server
from town_onebox import secrets
from town_onebox.databases import BACKUP_ROLE
from town_onebox.place import Place
from town_onebox.recovery import keys, manifest
from town_onebox.recovery.examine import examine, laid_out
from town_onebox.recovery.manifest import Manifest
from town_onebox.town import DatabaseServer

Tell = Callable[[str], None]


class NotPossible(RuntimeError):
    """It cannot be done here; the message says why and what to do."""


class running:
    """The port of a town's server: the one that runs, else one that is started meanwhile."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._started: DatabaseServer | None = None

    def __enter__(self) -> int:
        password = self._place.postgres / "postgres.password"
        if not password.exists():
            raise NotPossible(f"{self._place.directory} に町がありません。--directory を確かめてください。")
        try:
            port = int((self._place.postgres / "postgres.port").read_text())
            asyncio.run(_answers(admin_dsn(self._place, port)))
        except (OSError, ValueError, asyncpg.PostgresError):
            self._started = DatabaseServer(self._place, "production")
            return self._started.server.port
        return port

    def __exit__(self, *_: object) -> None:
        if self._started is not None:
            self._started.stop()


async def _answers(dsn: str) -> None:
    await (await asyncpg.connect(dsn, timeout=5)).close()


def admin_dsn(place: Place, port: int, database: str = "postgres") -> str:
    """The superuser's address of a town's server."""
    password = (place.postgres / "postgres.password").read_text()
    return server.dsn(server.HOST, port, server.ADMIN, password, database)


def backup(directory: Path, to: Path, keys_to: Path, tell: Tell) -> Manifest:
    """Back the town in ``directory`` up into ``to``, its keys into ``keys_to``; both are new folders.

    Raises:
        NotPossible: there is no town, or a folder exists or lies in the other or in the town.
        BackupUnsound: the copy does not start, or does not hold.
        ServerError, NoServer: PostgreSQL did not copy itself.
    """
    place, to, keys_to = Place(directory.resolve()), to.resolve(), keys_to.resolve()
    for one, other in ((to, keys_to), (keys_to, to), (to, place.directory), (keys_to, place.directory)):
        if one == other or other in one.parents:
            raise NotPossible("控え・鍵の控え・町は、たがいに別の場所に置いてください。")
    for folder in (to, keys_to):
        if folder.exists():
            raise NotPossible(f"{folder} はもうあります。控えは上書きしません。新しい名前にしてください。")
    with running(place) as port:
        made = secrets.read(place)
        asyncio.run(_role(admin_dsn(place, port), made.backup_password))
        version = asyncio.run(_major(admin_dsn(place, port)))
        to.mkdir(parents=True, mode=0o755)
        try:
            return _take(place, port, version, made.backup_password, to, keys_to, tell)
        except BaseException:
            shutil.rmtree(to, ignore_errors=True)
            raise


def _take(place: Place, port: int, version: str, password: str, to: Path, keys_to: Path, tell: Tell) -> Manifest:
    tell("1/4 すべてのデータベースを、ひとつの時点で写しています(町は動いたままです)")
    taken_at = SystemClock().now()
    base_backup.take(port, user=BACKUP_ROLE, password=password, version=version, into=to)
    tell("2/4 写しを一度起動し、行数・監査記録の鎖・スキーマを確かめています")
    admin_password = (place.postgres / "postgres.password").read_text()
    with laid_out(to, to / "check", admin_password) as copied:
        contents = examine(copied.port, password)
    tell("3/4 鍵を別の場所に写しています")
    count = keys.copy(place, keys_to)
    tell("4/4 目録を書いています")
    made = Manifest(
        format=manifest.FORMAT,
        taken_at=taken_at,
        postgres=version,
        vault_key=keys.fingerprint(place),
        files=manifest.files_of(to, base_backup.FILES),
        databases=contents,
    )
    manifest.write(to, made)
    size = sum(entry.bytes for entry in made.files.values())
    rows = sum(sum(one.tables.values()) for one in contents.values())
    tell(f"控え: {to}({size / 1e6:,.1f} MB、データベース {len(contents)}、{rows:,} 行)")
    tell(f"鍵の控え: {keys_to}({count} 個)。控えとは別の場所に移し、金庫に入れてください。")
    return made


async def _role(dsn: str, password: str) -> None:
    """The backup role reads what stands here: one machine may hold one zone."""
    connection = await asyncpg.connect(dsn)
    try:
        names = {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()
    await provision.backup_role(dsn, BACKUP_ROLE, password, [name for name in secrets.DATABASES if name in names])


async def _major(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        number: str = await connection.fetchval("SHOW server_version_num")
    finally:
        await connection.close()
    return str(int(number) // 10_000)
