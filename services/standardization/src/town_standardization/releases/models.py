"""The table of releases."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_standardization.base import Base


class Release(Base):
    """再受付: the intent to read a released package; ``id`` is the quarantined package's.

    ``revision`` grows with each release of the same package; ``reason`` is the slug of what kept it from being read.
    """

    __tablename__ = "releases"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    raw_package_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    traceparent: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
