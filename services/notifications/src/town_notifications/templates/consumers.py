"""Procedures tell what their folders say; a copy is kept here."""

from typing import Any, ClassVar

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received
from town_notifications.templates.models import ProcedureTexts
from town_notifications.templates.town import read_texts


class ProcedurePublished(Reader):
    """A version of a procedure folder is in force.

    ``messages`` holds ``templates``: fact → language → {title, body}.
    """

    TYPE: ClassVar[str] = "town.procedures.procedure.published.v1"
    TOPIC: ClassVar[str] = "procedures.procedures"

    procedure_code: str
    version: str
    title: dict[str, str]
    messages: dict[str, Any]


def template_consumers(clock: Clock) -> list[Consumer]:
    """The consumers of this slice."""

    async def published(session: AsyncSession, event: Received[ProcedurePublished]) -> None:
        texts = event.data.messages.get("templates", {})
        for by_language in texts.values():
            read_texts(by_language)  # a text that breaks a rule goes to the dead letters; the last good copy stays
        row = {
            "version": event.data.version,
            "titles": event.data.title,
            "texts": texts,
            "received_at": clock.now(),
        }
        statement = insert(ProcedureTexts).values(procedure_code=event.data.procedure_code, **row)
        await session.execute(statement.on_conflict_do_update(index_elements=["procedure_code"], set_=row))

    return [Consumer(name="notifications.templates", service="notifications", handlers={ProcedurePublished: published})]
