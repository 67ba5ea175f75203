"""What is told about My Numbers: that the vault has them, under which reference; never the number."""

from typing import ClassVar
from uuid import UUID

from town_kit.messaging.event import Event


class MyNumberDeposited(Event):
    """預入れ: the numbers of an application are in the vault; whoever holds them encrypted may delete them.

    ``references``: JSON Pointer in the answers → reference in the vault. ``revision`` names the content they were taken
    from: for another one they say nothing.
    """

    TYPE: ClassVar[str] = "town.standardization.my-number.deposited.v1"
    TOPIC: ClassVar[str] = "standardization.my-numbers"

    application_id: UUID
    revision: int
    references: dict[str, str]


PUBLISHED: tuple[type[Event], ...] = (MyNumberDeposited,)
