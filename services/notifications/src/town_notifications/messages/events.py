"""What is told about a message: ids and facts, never its text, an address or a name."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from town_kit.messaging.event import Event


class MessageEvent(Event):
    """Common to all: which message, of which kind, to whom, about what."""

    TOPIC: ClassVar[str] = "notifications.messages"

    message_id: UUID
    person_id: UUID | None
    kind: str
    application_id: UUID | None
    emergency_message_id: UUID | None
    source_event_id: UUID | None
    valid_until: datetime


class MessageQueued(MessageEvent):
    """送信待ち: a message was written and waits for its channels."""

    TYPE: ClassVar[str] = "town.notifications.message.queued.v1"

    channels: tuple[str, ...]


class MessageDelivered(MessageEvent):
    """配信済: a provider took it for the person, or she read it in the app."""

    TYPE: ClassVar[str] = "town.notifications.message.delivered.v1"

    channel: str


class MessageExpired(MessageEvent):
    """期限切れ: its time passed and nobody needs to bring it any more."""

    TYPE: ClassVar[str] = "town.notifications.message.expired.v1"


class MessageHandedToStaff(MessageEvent):
    """職員対応: it stands on the day's letter or phone list."""

    TYPE: ClassVar[str] = "town.notifications.message.handed_to_staff.v1"

    list_name: str
    reason: str


PUBLISHED: tuple[type[MessageEvent], ...] = (MessageQueued, MessageDelivered, MessageExpired, MessageHandedToStaff)
