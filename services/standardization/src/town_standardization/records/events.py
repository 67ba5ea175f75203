"""What is told about a standard record: ids and facts, never its content."""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from town_kit.messaging.event import Event


class RecordEvent(Event):
    """Common to all: which record of which application, for which business."""

    TOPIC: ClassVar[str] = "standardization.records"

    record_id: UUID
    application_id: UUID
    business_id: str
    key: str
    history_number: int


class RecordPrepared(RecordEvent):
    """作成: the core system can pull it."""

    TYPE: ClassVar[str] = "town.standardization.record.prepared.v1"

    operated_at: datetime


class RecordWithdrawn(RecordEvent):
    """取下げ: the core system can pull that the application was withdrawn, under this 履歴番号."""

    TYPE: ClassVar[str] = "town.standardization.record.withdrawn.v1"

    operated_at: datetime


class RecordAcknowledged(RecordEvent):
    """受領: the core system has it."""

    TYPE: ClassVar[str] = "town.standardization.record.acknowledged.v1"

    acknowledged_at: datetime


class RecordDecided(RecordEvent):
    """決定: the core system has decided; ``reason_code`` only with a rejection."""

    TYPE: ClassVar[str] = "town.standardization.record.decided.v1"

    result: Literal["approved", "rejected"]
    reason_code: str | None
    decided_on: date


PUBLISHED: tuple[type[RecordEvent], ...] = (RecordPrepared, RecordWithdrawn, RecordAcknowledged, RecordDecided)
