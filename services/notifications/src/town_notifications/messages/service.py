"""Use cases of a message: write it, end it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.ids import new_id, stable_id
from town_kit.messaging import outbox
from town_notifications.base import Base
from town_notifications.messages.domain import ListName, Reason, State, hand_over_at
from town_notifications.messages.models import Message
from town_notifications.recipients import Reach
from town_notifications.templates import Rendered, Unreached

Plan = Callable[[Message, Reach, datetime], Sequence[Base]]
"""Makes the delivery rows of a message: those that go outside, and the inbox."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a message is about, before it is written to somebody; ``moment`` is the move of the application, 1, 2 …"""

    kind: str
    rendered: Rendered
    unreached: Unreached
    valid_until: datetime
    priority: str = "ordinary"
    source_event_id: UUID | None = None
    reference: str | None = None
    procedure_code: str | None = None
    application_id: UUID | None = None
    emergency_message_id: UUID | None = None
    moment: int = 0

    def id_for(self, person_id: UUID | None) -> UUID:
        """The id of this notice to one person.

        Where the moment of the application is known it follows from that, so that what is told again after a restore
        carries the id under which the outside already has it.
        """
        if self.application_id is None or not self.moment:
            return new_id()
        return stable_id("message", str(self.application_id), str(self.moment), self.kind, recipient_key(person_id))


def recipient_key(person_id: UUID | None) -> str:
    """Who is told, as a part of a key."""
    return str(person_id) if person_id else "unknown"


def queue(session: AsyncSession, notice: Notice, reach: Reach, plan: Plan, *, at: datetime) -> Message:
    """Write one message to one person: to her channels, else straight onto the day's list."""
    message = Message(
        id=notice.id_for(reach.person_id),
        version=1,
        event_sequence=0,
        person_id=reach.person_id,
        source_event_id=notice.source_event_id,
        recipient_key=recipient_key(reach.person_id),
        kind=notice.kind,
        priority=notice.priority,
        language=notice.rendered.language.value,
        template_version=notice.rendered.version,
        title=notice.rendered.title,
        body=notice.rendered.body,
        reference=notice.reference,
        procedure_code=notice.procedure_code,
        application_id=notice.application_id,
        emergency_message_id=notice.emergency_message_id,
        unreached=notice.unreached.value,
        created_at=at,
        hand_over_at=notice.valid_until
        if notice.unreached is Unreached.EXPIRE
        else hand_over_at(at, notice.valid_until),
        valid_until=notice.valid_until,
    )
    session.add(message)
    session.add_all(plan(message, reach, at))
    channels = tuple(sorted({target.channel.value for target in reach.targets}))
    if channels or notice.unreached is Unreached.EXPIRE:
        outbox.add(session, message.begin(channels), message)
    else:
        outbox.add(session, message.begin_on_list(ListName(notice.unreached.value), Reason.NO_CHANNEL, at=at), message)
    return message


def settle(session: AsyncSession, message: Message, *, sent_by: str | None, pending: bool, at: datetime) -> None:
    """Judge a message by its deliveries, after some of them have ended.

    Args:
        session: in whose transaction the message is locked.
        message: the message.
        sent_by: a channel whose provider took it, if there is one.
        pending: whether an attempt is still to come.
        at: now.
    """
    if message.state != State.QUEUED:
        return
    if sent_by is not None:
        outbox.add(session, message.deliver(sent_by, at=at), message)
    elif not pending:
        hand_over(session, message, Reason.ALL_FAILED, at=at)


def hand_over(session: AsyncSession, message: Message, reason: Reason, *, at: datetime) -> None:
    """End a queued message nobody could bring: on a list, or expired where a list makes no sense."""
    if message.unreached == Unreached.EXPIRE:
        if at >= message.valid_until:
            outbox.add(session, message.expire(at=at), message)
        return
    outbox.add(session, message.hand_over(ListName(message.unreached), reason, at=at), message)


def expire(session: AsyncSession, message: Message, *, at: datetime) -> None:
    """End a queued message that says something no longer true."""
    outbox.add(session, message.expire(at=at), message)


def read(session: AsyncSession, message: Message, *, at: datetime) -> None:
    """The person has read it in the app: whatever channel failed, it has reached her."""
    if message.read_at is not None:
        return
    message.read_at = at
    if message.state in (State.QUEUED, State.HANDED_TO_STAFF) and message.handled_at is None:
        outbox.add(session, message.deliver("inbox", at=at), message)
