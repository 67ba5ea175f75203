"""What is told about a person: ids alone. Neither name nor 宛名番号 leaves this service by an event."""

from typing import ClassVar
from uuid import UUID

from town_kit.messaging.event import Event


class PersonEvent(Event):
    """Common to all."""

    TOPIC: ClassVar[str] = "identity.persons"


class PersonRegistered(PersonEvent):
    """A person is known: provisional after the first use of an unlinked card, or by 宛名番号.

    A provisional person who turns out to be the first card of a 宛名番号 keeps her id and is told again.
    """

    TYPE: ClassVar[str] = "town.identity.person.registered.v1"

    person_id: UUID
    provisional: bool


class PersonLinked(PersonEvent):
    """番号紐付: a provisional person is another one. Whoever holds rows of the first re-points them."""

    TYPE: ClassVar[str] = "town.identity.person.linked.v1"

    from_person_id: UUID
    to_person_id: UUID


PUBLISHED: tuple[type[PersonEvent], ...] = (PersonRegistered, PersonLinked)
