"""What the connector hears from the gateway: poll now."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.mynaportal import repository
from town_kit.clock import Clock
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received


class PollRequested(Reader):
    """The connector's reading of ``town.gateway.portal-poll.requested.v1``."""

    TYPE: ClassVar[str] = "town.gateway.portal-poll.requested.v1"
    TOPIC: ClassVar[str] = "gateway.portal-polls"

    portal_id: UUID


def poll_consumer(portal: str, clock: Clock) -> Consumer:
    """The consumer that makes a poll due; the poller looks within a second."""

    async def poll_now(session: AsyncSession, event: Received[PollRequested]) -> None:  # noqa: ARG001 - the event itself is the word
        await repository.poll_now(session, portal, clock.now())

    return Consumer(name="connector.polls", service="connector", handlers={PollRequested: poll_now})
