"""Telling the other services about each new version of a procedure folder."""

from collections.abc import Mapping

from sqlalchemy import select

from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.messaging import outbox
from town_kit.messaging.republish import republish
from town_kit.service import exclusive
from town_procedures.catalogue import Procedure
from town_procedures.procedures.events import ProcedurePublished
from town_procedures.procedures.models import PublishedProcedure


async def publish_changed(database: Database, catalogue: Mapping[str, Procedure]) -> int:
    """Publish each folder whose version was not published yet; answers 0, because there is nothing to hurry for."""
    async with database.begin() as session:
        if not await exclusive(session, "procedures.publishing"):
            return 0
        rows = (await session.execute(select(PublishedProcedure))).scalars()
        known = {row.code: row for row in rows}
        for procedure in catalogue.values():
            row = known.get(procedure.code)
            if row is None:
                row = PublishedProcedure(
                    id=new_id(), version=1, event_sequence=0, code=procedure.code, published_version=""
                )
                session.add(row)
            if row.published_version != procedure.version:
                row.published_version = procedure.version
                outbox.add(session, published(procedure), row)
    return 0


async def republish_procedures(database: Database, catalogue: Mapping[str, Procedure]) -> int:
    """Publish the folders in force again, for a consumer that comes late; answers how many."""

    def present(row: PublishedProcedure) -> ProcedurePublished | None:
        return published(catalogue[row.code]) if row.code in catalogue else None

    return await republish(database, PublishedProcedure, present)


def published(procedure: Procedure) -> ProcedurePublished:
    """The event of a folder."""
    return ProcedurePublished(
        procedure_code=procedure.code,
        version=procedure.version,
        title=dict(procedure.title),
        business_id=procedure.business_id,
        decided_by=procedure.decided_by,
        standard_days=procedure.standard_days,
        messages=dict(procedure.messages),
    )
