"""Tables of devices, contact points and preferences; each row belongs to one person."""

from datetime import datetime, time
from uuid import UUID

from sqlalchemy import Text, Time
from sqlalchemy.orm import Mapped, mapped_column

from town_notifications.base import Base


class Device(Base):
    """端末: an app on a device that takes push notifications."""

    __tablename__ = "devices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID]
    app: Mapped[str] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(Text)
    push_token: Mapped[str] = mapped_column(Text)
    registered_at: Mapped[datetime]


class ContactPoint(Base):
    """連絡先: an e-mail address. ``issue`` counts the codes sent to it; a mail with the code waits while
    ``code_due_at`` is set.
    """

    __tablename__ = "contact_points"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID]
    address: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    registered_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    issue: Mapped[int] = mapped_column(default=1)
    issued_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    code_due_at: Mapped[datetime | None]
    code_tries: Mapped[int] = mapped_column(default=0)


class Preference(Base):
    """受け取り方: language, channels and quiet hours of one person; without a row the defaults hold."""

    __tablename__ = "preferences"

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(default=1)
    language: Mapped[str] = mapped_column(Text)
    push: Mapped[bool]
    email: Mapped[bool]
    quiet_from: Mapped[time | None] = mapped_column(Time)
    quiet_until: Mapped[time | None] = mapped_column(Time)
    updated_at: Mapped[datetime]
