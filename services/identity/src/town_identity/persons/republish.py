"""Snapshots for a consumer that comes late: what every person is now, told again."""

from sqlalchemy import select

from town_identity.persons.events import PersonLinked
from town_identity.persons.models import Person
from town_kit.db import Database
from town_kit.messaging import outbox

BATCH = 500


async def republish(database: Database) -> int:
    """Publish a snapshot of every person, in batches of one transaction each; answers how many."""
    told, last = 0, None
    while True:
        async with database.begin() as session:
            query = select(Person).order_by(Person.id).limit(BATCH).with_for_update()
            people = list((await session.execute(query if last is None else query.where(Person.id > last))).scalars())
            for person in people:
                merged = person.merged_into
                event = PersonLinked(from_person_id=person.id, to_person_id=merged) if merged else person.registered()
                outbox.add(session, event, person, snapshot=True)
        if not people:
            return told
        told, last = told + len(people), people[-1].id
