"""What happens to an application, written down for the callbacks of the client it was filed through."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.callbacks import repository
from town_gateway.callbacks.domain import FACTS, CallbackState, DeliveryState, delivery_id, payload
from town_kit.clock import Clock
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received


class FiledApplicationFact(Reader):
    """What the gateway reads of an application's event; without ``client_id`` nobody is told."""

    TYPE: ClassVar[str] = ""
    TOPIC: ClassVar[str] = "procedures.applications"

    application_id: UUID
    client_id: str | None = None
    reference: str
    procedure_code: str
    state: str
    status_sequence: int


def _reader(fact: str) -> type[FiledApplicationFact]:
    name = "Filed" + "".join(part.title() for part in fact.split("_"))
    told = {"TYPE": f"town.procedures.application.{fact}.v1", "__module__": __name__}
    return type(name, (FiledApplicationFact,), told)


READERS = {fact: _reader(fact) for fact in FACTS}


def callback_consumer(clock: Clock) -> Consumer:
    """The consumer that turns facts into deliveries, in the transaction that says the event is done."""

    def handler(fact: str) -> Any:
        async def keep(session: AsyncSession, event: Received[FiledApplicationFact]) -> None:
            data = event.data
            if data.client_id is None:
                return
            for callback in await repository.of_client(session, data.client_id):
                active = callback.state == CallbackState.ACTIVE
                await repository.keep(
                    session,
                    id=delivery_id(callback.id, event.id),
                    callback_id=callback.id,
                    owner_id=callback.owner_id,
                    event_type=f"application.{fact}",
                    payload=payload(fact, event.occurred_at, _told(data)),
                    occurred_at=event.occurred_at,
                    state=DeliveryState.WAITING if active else DeliveryState.PARKED,
                    next_attempt_at=clock.now(),
                )

        return keep

    handlers: dict[type[Reader], Any] = {reader: handler(fact) for fact, reader in READERS.items()}
    return Consumer(name="gateway.callbacks", service="gateway", handlers=handlers)


def _told(data: FiledApplicationFact) -> dict[str, Any]:
    return {
        "application_id": str(data.application_id),
        "reference": data.reference,
        "procedure_code": data.procedure_code,
        "state": data.state,
        "status_sequence": data.status_sequence,
    }
