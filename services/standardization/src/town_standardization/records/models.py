"""Tables of standard records and of the files made of them."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.db import Aggregate
from town_standardization.base import Base
from town_standardization.records.events import RecordAcknowledged, RecordDecided, RecordPrepared, RecordWithdrawn


class Record(Base, Aggregate):
    """標準レコード. ``key`` and ``history_number`` name it to the core system; ``position`` is its place in the pull.

    ``subjects`` are the persons it is about, for the audit. A result is kept with its id, so that a repeat is one.
    ``withdrawn``: this 履歴番号 says that the application was withdrawn; its content is that of the number before.
    ``withheld``: the core system took this key and number before a restore, so it is not handed out again.
    """

    __tablename__ = "records"

    business_id: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    history_number: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    application_id: Mapped[UUID]
    decided_by: Mapped[str] = mapped_column(Text)
    subjects: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid(as_uuid=True)))
    content: Mapped[dict[str, Any]]
    operated_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    result_id: Mapped[str | None] = mapped_column(Text)
    decision: Mapped[str | None] = mapped_column(Text)
    reason_code: Mapped[str | None] = mapped_column(Text)
    decided_on: Mapped[date | None]
    amount_yen: Mapped[int | None]
    valid_from: Mapped[date | None]
    valid_to: Mapped[date | None]
    export_id: Mapped[UUID | None] = mapped_column(ForeignKey("record_exports.id"))
    withdrawn: Mapped[bool] = mapped_column(default=False)
    withheld: Mapped[bool] = mapped_column(default=False)

    def prepared(self) -> RecordPrepared | RecordWithdrawn:
        """The event that tells it exists."""
        kind = RecordWithdrawn if self.withdrawn else RecordPrepared
        return kind(**self._facts(), operated_at=self.operated_at)

    def acknowledge(self, at: datetime) -> RecordAcknowledged | None:
        """The core system has it; null when it said so before."""
        if self.acknowledged_at is not None:
            return None
        self.acknowledged_at = at
        return RecordAcknowledged(**self._facts(), acknowledged_at=at)

    def decided(self) -> RecordDecided:
        """The event that tells the decision."""
        assert self.decision is not None
        assert self.decided_on is not None
        return RecordDecided(
            **self._facts(),
            result="approved" if self.decision == "approved" else "rejected",
            reason_code=self.reason_code,
            decided_on=self.decided_on,
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "record_id": self.id,
            "application_id": self.application_id,
            "business_id": self.business_id,
            "key": self.key,
            "history_number": self.history_number,
        }


class RecordExport(Base):
    """ファイル連携: one run of files; its row fixes their names, so that a repeat after a crash replaces, not adds."""

    __tablename__ = "record_exports"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    business_id: Mapped[str] = mapped_column(Text)
    serial: Mapped[int]
    begun_at: Mapped[datetime]
    written_at: Mapped[datetime | None]
