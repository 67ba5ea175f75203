"""Tables of callbacks; each row belongs to one client."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_gateway.base import GatewayBase


class Callback(GatewayBase):
    """通知先. ``owner_id`` is the client as a principal, ``client_id`` its name in tokens and events.

    ``secret`` and ``previous_secret`` are sealed; the previous one signs too until ``previous_until``.
    """

    __tablename__ = "callbacks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    client_id: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_until: Mapped[datetime | None]
    registered_at: Mapped[datetime]


class CallbackDelivery(GatewayBase):
    """One event for one callback. ``schedule_from`` is how many attempts were made before the tries began anew."""

    __tablename__ = "callback_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    callback_id: Mapped[UUID]
    owner_id: Mapped[UUID]
    event_type: Mapped[str] = mapped_column(Text)
    payload: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    schedule_from: Mapped[int]
    next_attempt_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class CallbackAttempt(GatewayBase):
    """One try: the status that was answered, or why there was none."""

    __tablename__ = "callback_attempts"

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    at: Mapped[datetime]
    result: Mapped[str] = mapped_column(Text)
    milliseconds: Mapped[int]
