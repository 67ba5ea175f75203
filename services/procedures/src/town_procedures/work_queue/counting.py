"""Counts by procedure and state, kept by the worker in batches: no request touches a row another one needs."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.db import Database
from town_kit.service import exclusive

# Moves not yet counted are taken up once, in the transaction that changes the counts.
COUNT = text(
    """WITH moved AS (
         UPDATE application_transitions SET counted = true
          WHERE (application_id, sequence) IN (
                SELECT application_id, sequence FROM application_transitions WHERE NOT counted LIMIT 1000)
          RETURNING application_id, from_state, to_state),
       deltas AS (
         SELECT a.procedure_code, s.state, sum(s.change) AS change FROM moved m
           JOIN applications a ON a.id = m.application_id
           CROSS JOIN LATERAL (VALUES (m.from_state, -1), (m.to_state, 1)) AS s (state, change)
          WHERE s.state IS NOT NULL GROUP BY a.procedure_code, s.state),
       kept AS (
         INSERT INTO queue_counts (procedure_code, state, count)
         SELECT procedure_code, state, change FROM deltas
         ON CONFLICT (procedure_code, state) DO UPDATE SET count = queue_counts.count + excluded.count)
       SELECT count(*) FROM moved"""
)

READ = text("SELECT procedure_code, state, count FROM queue_counts WHERE count <> 0 ORDER BY procedure_code, state")


async def count_batch(database: Database) -> int:
    """Take up to 1,000 new moves into the counts; answers how many."""
    async with database.begin() as session:
        if not await exclusive(session, "work-queue.counting"):
            return 0
        return int((await session.execute(COUNT)).scalar_one())


async def counts(session: AsyncSession) -> list[tuple[str, str, int]]:
    """(procedure_code, state, count) of all that is not zero; fresh within a second."""
    return [(row[0], row[1], row[2]) for row in (await session.execute(READ)).all()]
