"""Waking a relay after a commit: never inside a transaction, and at most once in 5 ms per process.

NOTIFY in a transaction holds one lock of the whole server until its flush is done, which serialises all commits.
A relay that was not woken (a connection lost, a process killed) looks every 250 ms.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
import structlog
from sqlalchemy import Engine, make_url

from town_kit.db.engine import Database

log = structlog.get_logger(__name__)

CHANNEL = "town_outbox"
SPACING_SECONDS = 0.005
IDLE_SECONDS = 30.0
POLL_SECONDS = 0.25

_listeners: WeakKeyDictionary[Engine, set[Callable[[], None]]] = WeakKeyDictionary()


def plain_dsn(url: str) -> str:
    """The driver's DSN of a SQLAlchemy URL."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def wake(bind: Any) -> None:
    """Tell whoever listens in this process that a transaction on this engine has written events."""
    for call in tuple(_listeners.get(getattr(bind, "engine", bind), ())):
        call()


@contextmanager
def woken_by(database: Database, call: Callable[[], None]) -> Iterator[None]:
    """Have ``call`` called after each commit on ``database`` that wrote events, while the block runs."""
    engine = database.engine.sync_engine
    calls = _listeners.setdefault(engine, set())
    calls.add(call)
    try:
        yield
    finally:
        calls.discard(call)


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
        self._connection: asyncpg.Connection | None = None
        self.sent = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Notifier"]:
        """Announce commits while the block runs."""
        self._due = asyncio.Event()
        with woken_by(self._database, self._due.set):
            task = asyncio.create_task(self._run(), name=f"{self._service}.notifier")
            try:
                yield self
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await self._close()

    async def _run(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._due.wait(), IDLE_SECONDS)
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
            self._connection = await asyncpg.connect(self._dsn, timeout=5, server_settings=settings)
        await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, self._service)
        self.sent += 1

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()


async def wait(event: asyncio.Event, seconds: float = POLL_SECONDS) -> bool:
    """Wait until ``event`` is set or ``seconds`` are over; clears it and answers whether it was set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    was_set = event.is_set()
    event.clear()
    return was_set
