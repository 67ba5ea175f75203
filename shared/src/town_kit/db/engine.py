"""One database of one service: engine, sessions, and a transaction that knows for whom it runs.

Row security reads two settings of the transaction, ``town.principal`` and ``town.role``. They are set with
``set_config(…, true)``, so that they end with the transaction and never reach the next user of the connection.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

IDLE_SECONDS = 30.0
SILENCE_SECONDS = 1.0
# How soon the server lets go of a session, and of its locks, whose client can no longer be reached (seconds).
KEEPALIVES = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
_SETTINGS = text("SELECT set_config('town.principal', :principal, true), set_config('town.role', :role, true)")


class TownSession(Session):
    """The session class whose commit writes the events collected by ``outbox.add``."""


class Database:
    """The database of one service. At most ``pool_size`` connections a process, closed when idle.

    Args:
        url: SQLAlchemy URL (``postgresql+asyncpg://``) of the application role.
        pool_size: connections this process may hold at once.
        application: shown in ``pg_stat_activity``.
        statement_timeout_ms: longest a single statement may run.
    """

    def __init__(
        self, url: str, *, pool_size: int = 2, application: str = "town", statement_timeout_ms: int = 15_000
    ) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            hide_parameters=True,
            connect_args={
                "timeout": 5,
                # The server would have answered by then; a connection that does not is cut, and is given up.
                "command_timeout": statement_timeout_ms / 1000 + SILENCE_SECONDS,
                "prepared_statement_cache_size": 500,
                "server_settings": {
                    "application_name": application,
                    "statement_timeout": str(statement_timeout_ms),
                    "lock_timeout": "5000",
                    "idle_in_transaction_session_timeout": "30000",
                    "timezone": "UTC",
                    **KEEPALIVES,
                },
            },
        )
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self.engine, sync_session_class=TownSession, expire_on_commit=False, autoflush=False
        )
        self._last_used = time.monotonic()
        event.listen(self.engine.sync_engine, "checkout", self._used)
        event.listen(self.engine.sync_engine, "handle_error", _give_up_silent)

    def _used(self, connection: AsyncAdapt_asyncpg_connection, *_: object) -> None:
        """Note the use; a connection that the server has closed meanwhile is replaced before anybody asks through it.

        Raises:
            DisconnectionError: the connection is closed; the pool then opens another one.
        """
        self._last_used = time.monotonic()
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    @asynccontextmanager
    async def begin(self, *, role: str = "service", principal: UUID | None = None) -> AsyncIterator[AsyncSession]:
        """A transaction for a worker, a job or a second step of a request; committed when the block ends well."""
        async with self.sessions() as session, session.begin():
            await session.execute(_SETTINGS, {"principal": str(principal or ""), "role": role})
            yield session

    async def close_idle(self) -> None:
        """Close the pooled connections when none was used for a while; SQLAlchemy itself never does."""
        if time.monotonic() - self._last_used > IDLE_SECONDS:
            await self.engine.dispose()
            self._last_used = time.monotonic()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Database"]:
        """Keep the pool trimmed while the block runs, and close it at the end."""
        trimmer = asyncio.create_task(self._trim(), name="pool-trimmer")
        try:
            yield self
        finally:
            trimmer.cancel()
            with suppress(asyncio.CancelledError):
                await trimmer
            await self.engine.dispose()

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS / 2)
            await self.close_idle()


def _give_up_silent(context: ExceptionContext) -> None:
    """A connection on which no answer came is dead, and so are probably the others: the pool begins anew."""
    if isinstance(context.original_exception, TimeoutError):
        context.is_disconnect = context.invalidate_pool_on_disconnect = True


async def assert_durable(database: Database) -> None:
    """Refuse a server that may lose an acknowledged commit; called at the start of a production profile.

    Raises:
        RuntimeError: ``fsync``, ``synchronous_commit`` or ``full_page_writes`` is off.
    """
    async with database.begin() as session:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            value = (await session.execute(text("SELECT current_setting(:name)"), {"name": setting})).scalar_one()
            if value not in {"on", "remote_apply", "remote_write"}:
                raise RuntimeError(f"PostgreSQL runs with {setting}={value}; set it to on")
