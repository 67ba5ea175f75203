"""What becomes of an application is told to its parties: one event, one message to each recipient."""

from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import japan_date
from town_kit.messaging.consumer import Consumer, Handler
from town_kit.messaging.event import Reader, Received
from town_notifications.languages import Language
from town_notifications.messages import repository
from town_notifications.messages.domain import recipients
from town_notifications.messages.service import Notice, Plan, queue
from town_notifications.ports import Ports
from town_notifications.recipients import Reach, reach
from town_notifications.templates import Procedure, kinds, procedure, shared_texts, show_date


class Party(BaseModel):
    """A party of an application, as far as it matters here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    person_id: UUID | None = None


class ApplicationFact(Reader):
    """What is read of every event about an application."""

    TYPE: ClassVar[str] = ""
    TOPIC: ClassVar[str] = "procedures.applications"

    application_id: UUID
    reference: str
    procedure_code: str
    status_sequence: int = 0
    received_at: datetime
    due_on: date | None = None
    parties: tuple[Party, ...] = ()


def _reader(fact: str) -> type[ApplicationFact]:
    """The reader of one fact; the facts told to residents are those the folder of templates knows."""
    type_ = f"town.procedures.application.{fact}.v1"
    name = "Application" + fact.title().replace("_", "")
    return type(name, (ApplicationFact,), {"TYPE": type_, "__module__": __name__, "__doc__": f"``{type_}``."})


READERS: dict[str, type[ApplicationFact]] = {
    name: _reader(name.removeprefix("application.")) for name, kind in kinds().items() if kind.notify
}


def message_consumers(wired: Ports, plan: Plan) -> list[Consumer]:
    """The consumers of this slice; ``plan`` makes the delivery rows of a message."""

    def telling(kind: str) -> Handler:
        async def tell(session: AsyncSession, event: Received[ApplicationFact]) -> None:
            await tell_parties(session, wired, kind, event, plan)

        return tell

    handlers: dict[type[Reader], Handler] = {reader: telling(kind) for kind, reader in READERS.items()}
    return [Consumer(name="notifications.messages", service="notifications", handlers=handlers)]


async def tell_parties(
    session: AsyncSession, wired: Ports, kind: str, event: Received[ApplicationFact], plan: Plan
) -> None:
    """Write the messages of one event; an event told before writes none."""
    persons = recipients((party.role, party.person_id) for party in event.data.parties)
    known = [person for person in persons if person is not None]
    reached = await reach(session, known, wired.channels) if known else [Reach(person_id=None)]
    texts = await procedure(session, event.data.procedure_code)
    now = wired.clock.now()
    notices = [(person, notice(wired, kind, event, texts, person.language, now)) for person in reached]
    if await repository.is_told(session, event.id, [t.id_for(p.person_id) for p, t in notices]):
        return
    for person, told in notices:
        queue(session, told, person, plan, at=now)


def notice(
    wired: Ports,
    kind: str,
    event: Received[ApplicationFact],
    texts: Procedure,
    language: Language,
    now: datetime,
) -> Notice:
    """What one party is told about one fact, in her language."""
    found, data = kinds()[kind], event.data
    values = {
        "town": wired.town.name(language),
        "procedure": wired.town.sample_procedure(language),
        "reference": data.reference,
        "received_date": show_date(japan_date(data.received_at), language),
        "expected_date": show_date(data.due_on, language) if data.due_on else shared_texts().unknown[language],
    }
    return Notice(
        kind=kind,
        rendered=texts.render(found, language, values),
        unreached=found.unreached,
        valid_until=now + timedelta(days=found.valid_days),
        source_event_id=event.id,
        reference=data.reference,
        procedure_code=data.procedure_code,
        application_id=data.application_id,
        moment=data.status_sequence,
    )
