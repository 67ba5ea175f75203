"""A provisional person turned out to be another (番号紐付): what belongs to her moves to the other."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received


class PersonLinked(Reader):
    """``from_person_id`` is from now on ``to_person_id``."""

    TYPE: ClassVar[str] = "town.identity.person.linked.v1"
    TOPIC: ClassVar[str] = "identity.persons"

    from_person_id: UUID
    to_person_id: UUID


# In order. What both persons have stays once; a later event about the old person finds her new id in person_links.
REPOINT = tuple(
    text(statement)
    for statement in (
        """INSERT INTO person_links (from_person_id, to_person_id) VALUES (:old, :new)
           ON CONFLICT (from_person_id) DO UPDATE SET to_person_id = excluded.to_person_id""",
        "UPDATE person_links SET to_person_id = :new WHERE to_person_id = :old",
        """DELETE FROM devices o USING devices n
            WHERE o.person_id = :old AND n.person_id = :new AND n.app = o.app AND n.push_token = o.push_token""",
        "UPDATE devices SET person_id = :new WHERE person_id = :old",
        """DELETE FROM contact_points o USING contact_points n
            WHERE o.person_id = :old AND n.person_id = :new AND n.address = o.address""",
        "UPDATE contact_points SET person_id = :new WHERE person_id = :old",
        """DELETE FROM preferences WHERE person_id = :old
              AND EXISTS (SELECT 1 FROM preferences WHERE person_id = :new)""",
        "UPDATE preferences SET person_id = :new WHERE person_id = :old",
        "UPDATE deliveries SET person_id = :new WHERE person_id = :old",
        "UPDATE messages SET person_id = :new WHERE person_id = :old",
    )
)


def recipient_consumers() -> list[Consumer]:
    """The consumers of this slice."""

    async def linked(session: AsyncSession, event: Received[PersonLinked]) -> None:
        ids = {"old": event.data.from_person_id, "new": event.data.to_person_id}
        if ids["old"] == ids["new"]:
            return
        for statement in REPOINT:
            await session.execute(statement, ids)

    return [Consumer(name="notifications.persons", service="notifications", handlers={PersonLinked: linked})]
