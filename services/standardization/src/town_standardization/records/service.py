"""Use cases of standard records: write, acknowledge, take the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.ids import new_id
from town_kit.messaging import outbox
from town_kit.problems import FieldError, NotFound
from town_kit.writing import touch
from town_standardization.records import repository
from town_standardization.records.errors import DecidedByStaff, DecidedOtherwise
from town_standardization.records.models import Record


@dataclass(frozen=True, slots=True)
class Result:
    """決定 as a core system gives it back."""

    result_id: str
    decision: str
    reason_code: str | None
    decided_on: date
    amount_yen: int | None
    valid_from: date | None
    valid_to: date | None


async def write(
    session: AsyncSession,
    *,
    business_id: str,
    key: str,
    application_id: UUID,
    decided_by: str,
    subjects: Sequence[UUID],
    content: Mapping[str, Any],
    at: datetime,
) -> Record:
    """Write a record under its next 履歴番号; the same content again is the same record.

    One the core system took under that number before a restore is written down as taken and not handed out again.
    """
    await repository.stand_in_line(session, business_id)
    last = await repository.newest(session, business_id, key)
    if last is not None and last.content == content:
        return last
    record = Record(
        id=new_id(),
        version=1,
        event_sequence=0,
        business_id=business_id,
        key=key,
        history_number=last.history_number + 1 if last else 1,
        application_id=application_id,
        decided_by=decided_by,
        subjects=list(subjects),
        content=dict(content),
        operated_at=at,
        withheld=False,
    )
    taken_at = await repository.taken_before(session, business_id, key, record.history_number)
    session.add(record)
    outbox.add(session, record.prepared(), record)
    if taken_at is not None:
        record.withheld = True
        acknowledged = record.acknowledge(taken_at)
        assert acknowledged is not None
        outbox.add(session, acknowledged, record)
    await session.flush()
    return record


async def acknowledge(
    session: AsyncSession, business_id: str, names: Sequence[tuple[str, int]], *, at: datetime
) -> int:
    """The core system has these records; how many it had not said so of before.

    Raises:
        NotFound: there is no such record; nothing is noted then.
    """
    found = {(row.key, row.history_number): row for row in await repository.named(session, business_id, names)}
    missing = [index for index, name in enumerate(names) if name not in found]
    if missing:
        errors = [
            FieldError(
                f"/acknowledgements/{index}",
                "not-found",
                "この番号のレコードはありません。キーと履歴番号を確認してください。",
            )
            for index in missing[:50]
        ]
        raise NotFound("キーと履歴番号を確認してください。", errors=errors)
    noted = 0
    for record in found.values():
        event = record.acknowledge(at)
        if event is not None:
            outbox.add(session, event, record)
            noted += 1
    touch(session, subjects=[s for row in found.values() for s in row.subjects], fields=("acknowledged_at",))
    return noted


async def take_result(
    session: AsyncSession, business_id: str, name: tuple[str, int], result: Result, *, at: datetime
) -> Record:
    """Write the core system's decision down; the same result again changes nothing.

    Raises:
        NotFound: there is no such record.
        DecidedByStaff: the procedure is decided by the town's staff.
        DecidedOtherwise: another decision stands already.
    """
    found = await repository.named(session, business_id, [name])
    if not found:
        raise NotFound("キーと履歴番号を確認してください。")
    record = found[0]
    touch(session, subjects=record.subjects, fields=("decision",))
    if record.decided_by != "core":
        raise DecidedByStaff("町の職員の決定を待ってください。")
    if record.decision is not None:
        if not _is_same(record, result):
            raise DecidedOtherwise("決定の変更・取消しは町の担当課に連絡してください。")
        return record
    acknowledged = record.acknowledge(at)
    if acknowledged is not None:  # who decides has it
        outbox.add(session, acknowledged, record)
    record.version += 1
    for field in ("result_id", "decision", "reason_code", "decided_on", "amount_yen", "valid_from", "valid_to"):
        setattr(record, field, getattr(result, field))
    outbox.add(session, record.decided(), record)
    return record


def _is_same(record: Record, result: Result) -> bool:
    fields = ("decision", "reason_code", "decided_on", "amount_yen", "valid_from", "valid_to")
    return all(getattr(record, field) == getattr(result, field) for field in fields)
