"""What is told about a procedure: its folder's content, for services that keep a copy."""

from typing import Any, ClassVar

from town_kit.messaging.event import Event


class ProcedurePublished(Event):
    """A version of a procedure is in force; messages and labels travel with it."""

    TOPIC: ClassVar[str] = "procedures.procedures"
    TYPE: ClassVar[str] = "town.procedures.procedure.published.v1"

    procedure_code: str
    version: str
    title: dict[str, str]
    business_id: str
    decided_by: str
    standard_days: int | None
    messages: dict[str, Any]


PUBLISHED: tuple[type[Event], ...] = (ProcedurePublished,)
