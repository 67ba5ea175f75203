"""The table of hand-overs."""

from datetime import datetime
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.db import Aggregate
from town_standardization.base import Base


class PendingHandOver(Base, Aggregate):
    """引渡し: the intent to fetch an accepted application; ``id`` is the application's.

    ``revision`` grows with each reason to fetch it again; ``wrong`` says for a clerk why it is held: items and codes,
    never values. ``event_sequence`` counts the events about the application's numbers.
    """

    __tablename__ = "hand_overs"

    business_id: Mapped[str] = mapped_column(Text)
    procedure_code: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    accepted_at: Mapped[datetime]
    traceparent: Mapped[str | None] = mapped_column(Text)
    wrong: Mapped[list[Any]]
