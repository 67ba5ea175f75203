"""The table of deliveries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from town_notifications.base import Base
from town_notifications.messages import Message


class Delivery(Base):
    """配信: one message on its way to one address. Its id goes outside with each attempt and never changes.

    While it is ``sending``, ``next_attempt_at`` is the end of the worker's lease.
    """

    __tablename__ = "deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id"))
    person_id: Mapped[UUID | None]
    emergency_message_id: Mapped[UUID | None]
    channel: Mapped[str] = mapped_column(Text)
    target_id: Mapped[UUID | None]
    lane: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    last_code: Mapped[str | None] = mapped_column(Text)
    provider_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    message: Mapped[Message] = relationship(lazy="raise")  # never loaded: it orders the inserts
