"""収受番号: gapless within a 年度, given in batches by the worker to applications that are committed.

No request waits for the number: a counter row held through a request's flush would halve the throughput.
"""

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import japan_date
from town_kit.db import Database
from town_kit.jp import fiscal_year, fiscal_year_label
from town_kit.messaging import outbox
from town_kit.service import exclusive
from town_procedures.applications.domain import State, receipt_number
from town_procedures.applications.events import ApplicationNumbered
from town_procedures.applications.models import Application

BATCH = 200

TAKE = text(
    """INSERT INTO receipt_counters (fiscal_year, last_serial) VALUES (:year, :count)
       ON CONFLICT (fiscal_year) DO UPDATE SET last_serial = receipt_counters.last_serial + :count
       RETURNING last_serial - :count"""
)


async def number_batch(database: Database) -> int:
    """Number up to 200 applications in the order of their arrival; answers how many.

    An application that waits for its signature's verdict is not numbered yet.
    """
    async with database.begin() as session:
        if not await exclusive(session, "applications.numbering"):
            return 0
        waiting = (
            select(Application)
            .where(Application.receipt_serial.is_(None), Application.state != State.PENDING_VERIFICATION.value)
            .order_by(Application.recorded_at, Application.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        rows = list((await session.execute(waiting)).scalars())
        by_year: dict[int, list[Application]] = {}
        for row in rows:
            by_year.setdefault(fiscal_year(japan_date(row.received_at)), []).append(row)
        for year, members in by_year.items():
            await _number(session, year, members)
        return len(rows)


async def _number(session: AsyncSession, year: int, members: list[Application]) -> None:
    first = (await session.execute(TAKE, {"year": year, "count": len(members)})).scalar_one()
    for offset, application in enumerate(members, start=1):
        application.receipt_fiscal_year = year
        application.receipt_serial = first + offset
        application.receipt_number = receipt_number(fiscal_year_label(year), first + offset)
        outbox.add(
            session,
            ApplicationNumbered(**application.facts(), receipt_number=application.receipt_number),
            application,
        )
