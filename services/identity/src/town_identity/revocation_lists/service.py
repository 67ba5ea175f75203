"""Looking at the folder of revocation lists, with what the database remembers of the numbers."""

import asyncio

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from town_identity.jpki import CrlFolder, ListKey
from town_identity.revocation_lists.models import RevocationListNumber
from town_kit.clock import Clock
from town_kit.db import Database


async def look(database: Database, lists: CrlFolder, clock: Clock) -> None:
    """Take the lists that have arrived, none of a number below the highest that any process ever took.

    Reading runs in a thread: a list of a whole authority is large. The numbers are written before the lists count, so
    that no verdict rests on a list which a restart would forget.
    """
    known = await _recall(database)
    found = await asyncio.to_thread(lists.read, known)
    higher = {key: number for key, number in found.items() if number > known.get(key, -1)}
    if higher:
        await _remember(database, higher, clock)
    lists.take()


async def _recall(database: Database) -> dict[ListKey, int]:
    async with database.begin() as session:
        rows = (await session.execute(select(RevocationListNumber))).scalars().all()
    return {(row.issuer, row.partition): int(row.number) for row in rows}


async def _remember(database: Database, numbers: dict[ListKey, int], clock: Clock) -> None:
    now = clock.now()
    fresh = insert(RevocationListNumber).values(
        [
            {"issuer": issuer, "partition": partition, "number": number, "taken_at": now}
            for (issuer, partition), number in sorted(numbers.items())
        ]
    )
    known = RevocationListNumber
    highest = func.greatest(known.number, fresh.excluded.number)
    statement = fresh.on_conflict_do_update(
        index_elements=["issuer", "partition"], set_={"number": highest, "taken_at": now}
    )
    async with database.begin() as session:
        await session.execute(statement)
