"""What a database error means to a caller: come again, or our fault."""

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from town_kit.problems import DependencyUnavailable, Problem

# SQLSTATE classes after which the same request may succeed: connection lost, shutdown, lock and statement time-outs,
# serialisation, too many connections, a database that takes none for now (closed for maintenance or a restore).
_AGAIN = ("08", "57P0", "57014", "55P03", "55000", "40001", "40P01", "53")


def refusal_of(error: BaseException) -> Problem | None:
    """503 with ``Retry-After`` for an error that passes, None for one that will not."""
    if isinstance(error, PoolTimeout | ConnectionError | TimeoutError):
        return DependencyUnavailable("混み合っています。少し待ってからもう一度お試しください。", retry_after=1)
    if _passes(error):
        return DependencyUnavailable("一時的に保存できません。少し待ってからもう一度お試しください。", retry_after=1)
    return None


def _passes(error: BaseException) -> bool:
    """Whether the database may take the same thing later; also for what went past SQLAlchemy to the driver."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", "") or "")
        # An InternalError of the driver itself: the server said goodbye in the very moment it was asked.
        of_driver = isinstance(error, InterfaceError | InternalError | OperationalError) and not state
        lost = error.connection_invalidated or of_driver
        return lost or state.startswith(_AGAIN)
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_AGAIN)
    return isinstance(error, asyncpg.InterfaceError)
