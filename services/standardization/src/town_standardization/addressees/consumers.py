"""What identity tells of persons: a provisional person turns out to be another one."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received
from town_standardization.addressees.models import Addressee


class PersonLinked(Reader):
    """番号紐付: rows of the first person belong to the second."""

    TYPE: ClassVar[str] = "town.identity.person.linked.v1"
    TOPIC: ClassVar[str] = "identity.persons"

    from_person_id: UUID
    to_person_id: UUID


async def linked(session: AsyncSession, event: Received[PersonLinked]) -> None:
    """Re-point the addressee; where both persons have one, link the first to the second (名寄せ)."""
    old, new = event.data.from_person_id, event.data.to_person_id
    query = select(Addressee).where(Addressee.person_id.in_([old, new])).with_for_update()
    by_person = {row.person_id: row for row in (await session.execute(query)).scalars()}
    if old not in by_person:
        return
    if new in by_person:
        by_person[old].merged_into = by_person[new].id
    else:
        by_person[old].person_id = new


def addressee_consumers() -> list[Consumer]:
    """The consumers of this slice."""
    return [Consumer(name="standardization.persons", service="standardization", handlers={PersonLinked: linked})]
