"""What the gateway says about a portal."""

from typing import ClassVar
from uuid import UUID

from town_kit.messaging.event import Event


class PortalPollRequested(Event):
    """The portal announced that something waits (ポーリング要求); it carries no word of what."""

    TYPE: ClassVar[str] = "town.gateway.portal-poll.requested.v1"
    TOPIC: ClassVar[str] = "gateway.portal-polls"

    portal_id: UUID
    portal: str
