"""Snapshots for a consumer that comes late: what every aggregate of a table is now, told again."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select

from town_kit.db import Aggregate, Database
from town_kit.messaging import outbox
from town_kit.messaging.event import Event

A = TypeVar("A", bound=Aggregate)
BATCH = 500


async def republish(
    database: Database, table: type[A], told: Callable[[A], Event | None], *, batch: int = BATCH
) -> int:
    """Publish a snapshot of every row, in batches of one transaction each; answers how many.

    Args:
        database: where the aggregates stand.
        table: their model.
        told: the event that holds the whole state of one; None for one that is not told any more. Whoever is not late
            reads it too, so it must not be an event after which something is done, such as a message to a resident.
        batch: how many rows are locked at a time.
    """
    count = 0
    last: UUID | None = None
    while True:
        async with database.begin() as session:
            query = select(table).order_by(table.id).limit(batch).with_for_update()
            rows = (await session.execute(query if last is None else query.where(table.id > last))).scalars().all()
            for row in rows:
                event = told(row)
                if event is not None:
                    outbox.add(session, event, row, snapshot=True)
                    count += 1
        if not rows:
            return count
        last = rows[-1].id
