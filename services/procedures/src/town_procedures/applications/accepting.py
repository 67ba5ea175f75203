"""自動受付: what a folder says needs no clerk to be accepted, because the core system's officers decide it."""

from collections.abc import Mapping

from sqlalchemy import literal, or_, select

from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.jp import BusinessDays
from town_procedures.applications import service
from town_procedures.applications.domain import LOOK_FIRST, Channel, Decider, State
from town_procedures.applications.models import Application
from town_procedures.catalogue import Procedure

BATCH = 50


async def accept_batch(
    database: Database, catalogue: Mapping[str, Procedure], clock: Clock, calendar: BusinessDays
) -> int:
    """Accept up to 50 applications that came by the portal; answers how many.

    One that carries a flag a clerk must look at first is left to her.
    """
    codes = [procedure.code for procedure in catalogue.values() if procedure.auto_accept]
    waiting = (
        select(Application)
        .where(
            # Written out, not bound: that is how PostgreSQL knows the partial index of what waits here.
            Application.state == literal(State.SUBMITTED.value, literal_execute=True),
            Application.channel == literal(Channel.MYNAPORTAL.value, literal_execute=True),
            Application.decided_by == literal(Decider.CORE.value, literal_execute=True),
            Application.procedure_code.in_(codes),
            ~or_(*(Application.flags.contains([flag.value]) for flag in sorted(LOOK_FIRST))),
        )
        .order_by(Application.recorded_at, Application.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    async with database.begin() as session:
        rows = list((await session.execute(waiting)).scalars())
        for application in rows:
            await service.advance(
                session, application, State.ACCEPTED, at=clock.now(), by=service.SYSTEM, calendar=calendar
            )
        return len(rows)
