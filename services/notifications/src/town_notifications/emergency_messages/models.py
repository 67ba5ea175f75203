"""The table of emergency messages."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_notifications.base import Base
from town_notifications.emergency_messages.domain import State, move


class EmergencyMessage(Base):
    """緊急情報. ``reached_to`` is the last person it was written to; ``persons`` counts them.

    ``withheld`` holds, for a drill, how many targets each channel would have had. ``follows`` names the message this
    one takes back. ``settled`` is false while deliveries of a cancelled one still have to be stopped.
    """

    __tablename__ = "emergency_messages"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
    reference: Mapped[str] = mapped_column(Text, unique=True)
    status: Mapped[str] = mapped_column(Text)
    texts: Mapped[dict[str, Any]]
    content_digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]
    valid_until: Mapped[datetime]
    reached_to: Mapped[UUID]
    persons: Mapped[int] = mapped_column(default=0)
    withheld: Mapped[dict[str, Any]]
    follows: Mapped[UUID | None]
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[UUID | None]
    settled: Mapped[bool] = mapped_column(default=True)

    def dispatch(self) -> None:
        """Everybody has it in his lane. Bookkeeping: the version stays."""
        self.state = move(State(self.state), State.DISPATCHED)

    def cancel(self, *, by: UUID, at: datetime) -> None:
        """Take it back.

        Raises:
            StateConflict: it was taken back before.
        """
        self.state = move(State(self.state), State.CANCELLED)
        self.version += 1
        self.cancelled_by, self.cancelled_at, self.settled = by, at, False
