"""Waking a relay or the emergency lane after a commit: never inside a transaction, at most once in 5 ms per process.

NOTIFY in a transaction holds one lock of the whole server until its flush is done, which serialises all commits.
A relay that was not woken (a connection lost, a process killed) looks every 250 ms, an urgent job as often as it says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
import structlog
from sqlalchemy import Engine, event, make_url
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from town_kit.db.engine import Database, TownSession

log = structlog.get_logger(__name__)

CHANNEL = "town_outbox"
URGENT_CHANNEL = "town_urgent"
SPACING_SECONDS = 0.005
IDLE_SECONDS = 30.0
POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
RECONNECT_SECONDS = 1.0

_URGENT = "town_urgent_work"
_SAY = "SELECT pg_notify(channel, $2) FROM unnest($1::text[]) AS wanted (channel)"
_listeners: WeakKeyDictionary[Engine, set[tuple[str, Callable[[], None]]]] = WeakKeyDictionary()


def plain_dsn(url: str) -> str:
    """The driver's DSN of a SQLAlchemy URL."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def wake(bind: Any, channel: str = CHANNEL) -> None:
    """Tell whoever listens in this process that a transaction on this engine has written events (or urgent work)."""
    for wanted, call in tuple(_listeners.get(getattr(bind, "engine", bind), ())):
        if wanted == channel:
            call()


def urgent(session: AsyncSession) -> None:
    """Wake the urgent jobs of this service, wherever they run, as soon as this transaction is committed."""
    session.info[_URGENT] = True


@event.listens_for(TownSession, "after_transaction_end")
def _wake_urgent_jobs(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None and session.info.pop(_URGENT, False):
        wake(session.get_bind(), URGENT_CHANNEL)


@contextmanager
def woken_by(database: Database, call: Callable[[], None], channel: str = CHANNEL) -> Iterator[None]:
    """Have ``call`` called after each commit on ``database`` that wrote events (or urgent work), inside the block."""
    engine = database.engine.sync_engine
    calls = _listeners.setdefault(engine, set())
    calls.add((channel, call))
    try:
        yield
    finally:
        calls.discard((channel, call))


@asynccontextmanager
async def listening(database: Database, channel: str, call: Callable[[], None]) -> AsyncIterator[None]:
    """Have ``call`` called whenever a process says NOTIFY on ``channel``, or this one commits such work.

    A lost connection is made anew; what was said meanwhile is found by whoever looks from time to time.
    """
    task = asyncio.create_task(_listen(plain_dsn(database.url), channel, call), name=f"{channel}.listener")
    try:
        with woken_by(database, call, channel):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(dsn: str, channel: str, call: Callable[[], None]) -> None:
    while True:
        try:
            settings = {"application_name": channel}
            connection = await asyncpg.connect(dsn, timeout=5, command_timeout=5, server_settings=settings)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            log.warning("listen_failed", channel=channel, error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)
            continue
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _, ended=lost: ended.set())
        try:
            await connection.add_listener(channel, lambda *_: call())
            while not await wait(lost, HEARTBEAT_SECONDS):
                await connection.execute("SELECT 1")  # a connection that was cut says nothing, and would hear nothing
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass  # made anew
        finally:
            connection.terminate()


class Notifier:
    """Sends NOTIFY for a process that writes events but does not run the relay; on a connection of its own.

    Args:
        database: the database whose commits are announced.
        service: the payload.
    """

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._dsn = plain_dsn(database.url)
        self._service = service
        self._due = asyncio.Event()
        self._channels: set[str] = set()
        self._connection: asyncpg.Connection | None = None
        self.sent = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Notifier"]:
        """Announce commits while the block runs."""
        self._due = asyncio.Event()
        with (
            woken_by(self._database, lambda: self._announce(CHANNEL)),
            woken_by(self._database, lambda: self._announce(URGENT_CHANNEL), URGENT_CHANNEL),
        ):
            task = asyncio.create_task(self._run(), name=f"{self._service}.notifier")
            try:
                yield self
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await self._close()

    def _announce(self, channel: str) -> None:
        self._channels.add(channel)
        self._due.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._due.wait()
            except TimeoutError:
                await self._close()
                continue
            self._due.clear()
            try:
                await self._notify()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("notify_failed", service=self._service, error=type(error).__name__)
                await self._close()
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(SPACING_SECONDS)

    async def _notify(self) -> None:
        if self._connection is None or self._connection.is_closed():
            settings = {"application_name": f"{self._service}.notifier"}
            self._connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5, server_settings=settings)
        channels, self._channels = self._channels, set()
        await self._connection.execute(_SAY, sorted(channels), self._service)
        self.sent += 1

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()


async def wait(event: asyncio.Event, seconds: float = POLL_SECONDS) -> bool:
    """Wait until ``event`` is set or ``seconds`` are over; clears it and answers whether it was set.

    Not by ``wait_for``: up to Python 3.11 it forgets a cancellation that comes in the moment the event is set.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    was_set = event.is_set()
    event.clear()
    return was_set
