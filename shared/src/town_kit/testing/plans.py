"""How PostgreSQL would read what a query asks for, if the tables were as big as they get."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

# What a table with a million rows makes dear is made dear here; a plan that still has one of them has no better way.
_DEAR = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


async def plans_of(session: AsyncSession, ask: Callable[[], Awaitable[Any]]) -> list[str]:
    """The plan of each statement that ``ask()`` executes in the session, in order.

    An update or an insert is not carried out a second time: PostgreSQL only tells how it would do it. Ask in a
    database that no other test writes to: what PostgreSQL has counted in a table by then decides which index it takes.
    """
    asked: list[tuple[str, Any]] = []

    def listen(_1: Any, _2: Any, statement: str, parameters: Any, _3: Any, many: bool) -> None:
        asked.append((statement, parameters[0] if many else parameters))

    connection = await session.connection()
    for way in _DEAR:
        await session.execute(text(f"SET LOCAL {way} = off"))
    event.listen(connection.sync_connection, "before_cursor_execute", listen)
    try:
        await ask()
    finally:
        event.remove(connection.sync_connection, "before_cursor_execute", listen)
    driver: Any = (await connection.get_raw_connection()).driver_connection
    return ["\n".join(row[0] for row in await driver.fetch(f"EXPLAIN {one}", *values)) for one, values in asked]
