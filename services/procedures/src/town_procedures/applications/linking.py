"""番号紐付: a provisional person turned out to be another, so what names the one names the other from then on.

What is recorded already is re-pointed here when identity tells the link; what is recorded later, by a token or a
verdict that still names the provisional person, is looked up by :func:`submit.resolved`. A lock per person lets
neither pass the other by.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_procedures.applications import submit
from town_procedures.applications.domain import PartyRole
from town_procedures.applications.models import Application, ApplicationParty

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(cast(:old AS text), 7463))")
_TARGET = text("SELECT to_person_id FROM person_links WHERE from_person_id = :new")
_KEEP = (
    text(
        """INSERT INTO person_links (from_person_id, to_person_id) VALUES (:old, :new)
           ON CONFLICT (from_person_id) DO UPDATE SET to_person_id = excluded.to_person_id"""
    ),
    text("UPDATE person_links SET to_person_id = :new WHERE to_person_id = :old"),
)


async def repoint(session: AsyncSession, old: UUID, new: UUID) -> None:
    """Keep the link, and move every part of the provisional person in an application to the other.

    No event tells it: other services hear the link itself.
    """
    if old == new:
        return
    await session.execute(_LOCK, {"old": str(old)})
    new = (await session.execute(_TARGET, {"new": new})).scalar_one_or_none() or new
    for statement in _KEEP:
        await session.execute(statement, {"old": old, "new": new})
    parts = select(ApplicationParty.application_id).where(ApplicationParty.person_id == old)
    query = select(Application).where(Application.id.in_(parts)).order_by(Application.id).with_for_update()
    for application in (await session.execute(query)).scalars():
        parties = submit.united(map(_party, application.party_refs), {old: new})
        application.party_refs = submit.party_refs(parties)
        if application.signature and application.signature["person_id"] == str(old):
            application.signature = {**application.signature, "person_id": str(new)}
        await session.execute(delete(ApplicationParty).where(ApplicationParty.application_id == application.id))
        session.add_all(submit.party_rows(application, parties))


def _party(ref: Mapping[str, Any]) -> submit.Party:
    person_id = UUID(ref["person_id"]) if ref["person_id"] else None
    return submit.Party(PartyRole(ref["role"]), person_id, ref["protected"])
