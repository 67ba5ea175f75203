"""The table of messages, and the moves a message makes."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.clock import japan_date
from town_kit.db import Aggregate
from town_notifications.base import Base
from town_notifications.messages import events as fact
from town_notifications.messages.domain import Handling, ListName, Reason, State, move


class Message(Base, Aggregate):
    """お知らせ to one person. The row is also what stands in her inbox.

    ``recipient_key`` makes one event one message for each recipient, whatever happens to her id afterwards.
    ``position`` is the order in which messages were written, which for one application is that of its events;
    ``created_at`` is what the clock said, and a clock may be wrong. ``unreached`` says what happens when no channel
    brings it; the ``list_*`` columns say on which list it stands.
    """

    __tablename__ = "messages"

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    person_id: Mapped[UUID | None]
    source_event_id: Mapped[UUID | None]
    recipient_key: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    template_version: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    reference: Mapped[str | None] = mapped_column(Text)
    procedure_code: Mapped[str | None] = mapped_column(Text)
    application_id: Mapped[UUID | None]
    emergency_message_id: Mapped[UUID | None]
    unreached: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    hand_over_at: Mapped[datetime]
    valid_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    list_name: Mapped[str | None] = mapped_column(Text)
    list_reason: Mapped[str | None] = mapped_column(Text)
    listed_on: Mapped[date | None]
    listed_at: Mapped[datetime | None]
    handled_at: Mapped[datetime | None]
    handled_by: Mapped[UUID | None]
    handling: Mapped[str | None] = mapped_column(Text)
    handling_note: Mapped[str | None] = mapped_column(Text)

    def begin(self, channels: tuple[str, ...]) -> fact.MessageEvent:
        """The first move of a message that channels will try to bring."""
        return self._move(None, State.QUEUED, channels=channels)

    def begin_on_list(self, list_name: ListName, reason: Reason, *, at: datetime) -> fact.MessageEvent:
        """The first move of a message no channel can bring."""
        return self._on_list(None, list_name, reason, at=at)

    def deliver(self, channel: str, *, at: datetime) -> fact.MessageEvent:
        """A provider took it, or the person read it.

        Raises:
            StateConflict: it has ended otherwise.
        """
        self._end(at)
        return self._move(State(self.state), State.DELIVERED, channel=channel)

    def expire(self, *, at: datetime) -> fact.MessageEvent:
        """Its time is over.

        Raises:
            StateConflict: it has ended otherwise.
        """
        self._end(at)
        return self._move(State(self.state), State.EXPIRED)

    def hand_over(self, list_name: ListName, reason: Reason, *, at: datetime) -> fact.MessageEvent:
        """Put it on the day's list.

        Raises:
            StateConflict: it has ended otherwise.
        """
        return self._on_list(State(self.state), list_name, reason, at=at)

    def handle(self, handling: Handling, note: str | None, *, by: UUID, at: datetime) -> None:
        """Staff brought it, or found that nobody needs it."""
        self.version += 1
        self.handling, self.handling_note, self.handled_by, self.handled_at = handling, note, by, at

    def _on_list(
        self, current: State | None, list_name: ListName, reason: Reason, *, at: datetime
    ) -> fact.MessageEvent:
        event = self._move(current, State.HANDED_TO_STAFF, list_name=list_name.value, reason=reason.value)
        self._end(at)
        self.listed_at = at
        self.list_name, self.list_reason, self.listed_on = list_name, reason, japan_date(at)
        return event

    def _end(self, at: datetime) -> None:
        """Never before its beginning: the clock that made it may have been ahead."""
        self.ended_at = max(at, self.created_at)

    def _move(self, current: State | None, to: State, **facts: Any) -> fact.MessageEvent:
        kind = move(current, to)
        self.state = to.value
        return kind(
            message_id=self.id,
            person_id=self.person_id,
            kind=self.kind,
            application_id=self.application_id,
            emergency_message_id=self.emergency_message_id,
            source_event_id=self.source_event_id,
            valid_until=self.valid_until,
            **facts,
        )
