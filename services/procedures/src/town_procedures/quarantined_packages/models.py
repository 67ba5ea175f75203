"""The table of quarantined packages, and the moves one makes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.db import Aggregate
from town_procedures.base import Base
from town_procedures.quarantined_packages import events as fact
from town_procedures.quarantined_packages.domain import State, move


class QuarantinedPackage(Base, Aggregate):
    """隔離. ``reason`` is the slug of a problem; ``errors`` are places and sentences, never what stood there."""

    __tablename__ = "quarantined_packages"

    raw_package_id: Mapped[UUID] = mapped_column(ForeignKey("raw_packages.id"))
    source: Mapped[str] = mapped_column(Text)
    receipt_no: Mapped[str] = mapped_column(Text)
    mynaportal_procedure_id: Mapped[str] = mapped_column(Text)
    procedure_code: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    errors: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]
    quarantined_at: Mapped[datetime]
    application_id: Mapped[UUID | None] = mapped_column(ForeignKey("applications.id"))
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[UUID | None]
    note: Mapped[str | None] = mapped_column(Text)

    def begin(self) -> fact.QuarantinedPackageEvent:
        """The first move, from nothing to quarantined."""
        return self._move(None, State.QUARANTINED)

    def advance(self, to: State) -> fact.QuarantinedPackageEvent:
        """Move to ``to`` and answer the event that tells it.

        Raises:
            StateConflict: the table of transitions does not know the move.
        """
        event = self._move(State(self.state), to)
        self.version += 1
        return event

    def _move(self, current: State | None, to: State) -> fact.QuarantinedPackageEvent:
        kind = move(current, to)
        self.state = to.value
        return kind(
            quarantined_package_id=self.id,
            raw_package_id=self.raw_package_id,
            source=self.source,
            receipt_no=self.receipt_no,
            procedure_code=self.procedure_code,
            reason=self.reason,
            state=self.state,
            received_at=self.received_at,
            application_id=self.application_id,
        )
