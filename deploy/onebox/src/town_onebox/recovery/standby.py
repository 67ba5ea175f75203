"""A standby on other storage (待機系), and its promotion (昇格) by one command.

The standby is a second PostgreSQL that reads the first one's WAL. With ``synchronous`` a commit is acknowledged when
both have it on disk, so nothing acknowledged can be lost with one of them; without it, what was on its way is.
"""

import asyncio
import os
import secrets as random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg

from town_kit.db import base_backup, provision, server
from town_kit.db.server_files import account_for_server, data_directory
from town_onebox import vault_user
from town_onebox.place import Place
from town_onebox.recovery import before_start, keys
from town_onebox.recovery.backup import NotPossible, Tell, admin_dsn

NAME = "town_standby"
PID = "standby.pid"
FOLLOW_SECONDS = 60.0
STOP_SECONDS = 60.0
WATCH_SECONDS = 60.0  # what was written so long ago must be on the standby
_SYNCHRONOUS = "ALTER SYSTEM SET synchronous_standby_names = '{names}'"
_FOLLOWS = "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'"
_HOW_FAR = """SELECT pg_current_wal_lsn()::text, (SELECT flush_lsn >= coalesce($2::text, '0/0')::pg_lsn
    FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming')"""
BEHIND = (
    "警告: 待機系が遅れています。いま本番を失うと、送りかけの分を失います。"
    "回線と、待機系のディスクの空きと速さを確かめてください。"
)
SILENT = "警告: 本番が答えません。このまま待ちます。本番が失われたのなら promote を実行してください。"
CAUGHT_UP = "待機系は追いついています。"


def make(of: Path, directory: Path, *, synchronous: bool, tell: Tell) -> None:
    """Make a standby of the running town in ``of``, keys included, and follow it until SIGTERM or a promotion.

    Called again on its own directory it goes on following.

    Raises:
        NotPossible: the town does not run, or another town is in ``directory``.
        ServerError, NoServer: PostgreSQL did not copy itself, or does not start.
    """
    primary, place = Place(of.resolve()), Place(directory.resolve())
    fresh = not (place.directory / PID).exists()
    if fresh:
        _copy(primary, place, tell)
    (place.directory / PID).write_text(str(os.getpid()))
    following = server.start(place.postgres)
    try:
        _say_how(primary, synchronous=synchronous, tell=tell)
        _wait(following.alive, Watch(primary, tell).look)
    finally:
        following.stop()


def _copy(primary: Place, place: Place, tell: Tell) -> None:
    if place.secrets.exists() or place.postgres.exists():
        raise NotPossible(f"{place.directory} には町があります。待機系には新しい場所を示してください。")
    port = _port(primary)
    tell("1/3 待機系の役割とスロットを作っています")
    password = random.token_urlsafe(24)
    try:
        asyncio.run(provision.standby_role(admin_dsn(primary, port), NAME, password, NAME))
    except OSError:
        raise NotPossible(f"{primary.directory} の町が動いていません。起動してから待機系を作ります。") from None
    tell("2/3 鍵を写しています")
    place.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    bundle = place.directory / "keys.copy"
    keys.copy(primary, bundle)
    vault, _ = vault_user.account()
    keys.lay_out(bundle, place, keys.fingerprint(primary), vault)
    shutil.rmtree(bundle)
    tell("3/3 データを写しています(町は動いたままです)")
    account = account_for_server()
    data = data_directory(place.postgres, account)
    version = base_backup.version_of(data_directory(primary.postgres, account))
    base_backup.follow(
        port,
        user=NAME,
        password=password,
        version=version,
        slot=NAME,
        application=NAME,
        into=data,
        account=account,
    )


def _say_how(primary: Place, *, synchronous: bool, tell: Tell) -> None:
    """Tell the primary whether to wait for the standby, once that follows."""
    dsn = admin_dsn(primary, _port(primary))

    async def say() -> str:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            give_up = time.monotonic() + FOLLOW_SECONDS
            while await connection.fetchval(_FOLLOWS, NAME) is None:
                if time.monotonic() > give_up:
                    raise NotPossible("待機系が追いつきません。本番のログを確かめてください。")
                await asyncio.sleep(0.1)
            await connection.execute(_SYNCHRONOUS.format(names=NAME if synchronous else ""))
            await connection.execute("SELECT pg_reload_conf()")
            wanted, state = "sync" if synchronous else "async", None
            for _ in range(100):  # the server takes a moment to read its settings again
                state = await connection.fetchval(_FOLLOWS, NAME)
                if state == wanted:
                    break
                await asyncio.sleep(0.05)
            return str(state)
        finally:
            await connection.close()

    try:
        state = asyncio.run(say())
    except (OSError, asyncpg.PostgresError):
        tell(SILENT)
        return
    told = {"sync": "同期(両方に書いてから答える)", "async": "非同期(送りながら答える)"}
    tell(f"待機系が追いかけています: {told.get(state, state)}")


class Watch:
    """Tells when the standby falls behind its primary and when it has caught up, each once.

    How old the newest thing on a standby is says nothing while nobody writes. So the primary is asked how far it has
    written, and the next time whether the standby has that.
    """

    def __init__(self, primary: Place, tell: Tell) -> None:
        self._primary, self._tell = primary, tell
        self._written: str | None = None
        self._warning: str | None = None
        self._due = time.monotonic() + WATCH_SECONDS  # a standby that has just connected has told nothing yet

    def look(self) -> None:
        """Ask, where ``WATCH_SECONDS`` have passed since the last time."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + WATCH_SECONDS
        try:
            self._written, has = asyncio.run(self._how_far())
            warning = None if has else BEHIND
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, NotPossible):  # it goes on following
            warning = SILENT
        if warning != self._warning:
            self._tell(warning or CAUGHT_UP)
        self._warning = warning

    async def _how_far(self) -> tuple[str, bool | None]:
        connection = await asyncpg.connect(admin_dsn(self._primary, _port(self._primary)), timeout=5, command_timeout=5)
        try:
            written, has = await connection.fetchrow(_HOW_FAR, NAME, self._written)
            return written, has
        finally:
            connection.terminate()


def _wait(alive: Callable[[], bool], look: Callable[[], None]) -> None:
    """Until a signal, or until the server has ended."""
    stopping = []
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda *_: stopping.append(True))
    while not stopping and alive():
        look()
        time.sleep(0.1)


def release(of: Path, tell: Tell) -> None:
    """Let the primary answer without its standby (待機系を外す): after the standby broke, or before it is removed.

    Raises:
        NotPossible: the town does not run.
    """
    place = Place(of.resolve())
    dsn = admin_dsn(place, _port(place))

    async def let_go() -> None:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            await connection.execute(_SYNCHRONOUS.format(names=""))
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE slot_name = $1 AND NOT active",
                NAME,
            )
        finally:
            await connection.close()

    try:
        asyncio.run(let_go())
    except OSError:
        raise NotPossible(f"{of} の町が動いていません。") from None
    tell("待機系を外しました。いまは一台だけです。早めに待機系を作り直してください。")


def promote(directory: Path, tell: Tell, *, primary: Path | None = None) -> Place:
    """Make the standby in ``directory`` the town's database, ready to be started as any other town.

    Args:
        directory: of the standby.
        tell: told what is being done.
        primary: directory of the town it follows; two towns at once would be worse than none.

    Raises:
        NotPossible: there is no standby, or the primary still answers.
        ServerError, NoServer: PostgreSQL does not start.
    """
    place = Place(directory.resolve())
    pid = place.directory / PID
    if not pid.exists():
        raise NotPossible(f"{directory} は待機系ではありません。")
    if primary is not None and _still_answers(Place(primary.resolve())):
        raise NotPossible("本番がまだ答えています。先に止めてください(両方が動くと、どちらが正しいか決められません)。")
    tell("1/2 追いかけるのを止めています")
    _stop(int(pid.read_text()))
    tell("2/2 昇格しています")
    running = server.start(place.postgres)
    try:
        asyncio.run(_promote(running.admin_dsn))
        asyncio.run(before_start.stand_alone(running.admin_dsn))
        asyncio.run(_free(place, running.port, tell))
    finally:
        running.stop()
    pid.unlink()
    return place


async def _promote(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            await connection.fetchval("SELECT pg_promote(true, 60)")
    finally:
        await connection.close()


async def _free(place: Place, port: int, tell: Tell) -> None:
    await before_start.free(place, port, await before_start.here(place, port), tell)


def _stop(pid: int) -> None:
    """End the process that follows; its server goes with it. It may be gone with the machine it ran on."""
    give_up = time.monotonic() + STOP_SECONDS
    if _follows(pid):
        os.kill(pid, signal.SIGTERM)
    while _follows(pid) and time.monotonic() < give_up:
        time.sleep(0.02)


def _follows(pid: int) -> bool:
    """Whether that process is one that follows; a number may belong to another one by now."""
    try:
        return b"standby" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _port(place: Place) -> int:
    try:
        return int((place.postgres / "postgres.port").read_text())
    except (FileNotFoundError, ValueError):
        raise NotPossible(f"{place.directory} の町が動いていません。") from None


def _still_answers(place: Place) -> bool:
    try:
        dsn = admin_dsn(place, _port(place))
    except (NotPossible, FileNotFoundError):
        return False

    async def ask() -> None:
        await (await asyncpg.connect(dsn, timeout=3)).close()

    try:
        asyncio.run(ask())
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True
