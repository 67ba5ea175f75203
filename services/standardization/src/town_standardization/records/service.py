"""Use cases of standard records: write, withdraw, acknowledge, take the result."""

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
from town_standardization.records.errors import (
    ApplicationWithdrawn,
    DecidedByStaff,
    DecidedOtherwise,
    RecordSuperseded,
)
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
    """Write a record under its next 履歴番号; the same content again is the same record, and after 取下げ comes none.

    One the core system took under that number before a restore is written down as taken and not handed out again.
    """
    await repository.stand_in_line(session, business_id)
    last = await repository.newest(session, business_id, key)
    if last is not None and (last.withdrawn or last.content == content):
        return last
    record = Record(
        business_id=business_id,
        key=key,
        application_id=application_id,
        decided_by=decided_by,
        subjects=list(subjects),
        content=dict(content),
        withdrawn=False,
    )
    return await _append(session, record, last, at=at)


async def withdraw(session: AsyncSession, business_id: str, key: str, *, at: datetime) -> Record | None:
    """取下げ: say under the next 履歴番号 that the application was withdrawn; None where no record was ever written.

    The content is repeated, as the row of a deletion is in the files; that form is ours.
    """
    await repository.stand_in_line(session, business_id)
    last = await repository.newest(session, business_id, key)
    if last is None or last.withdrawn:
        return last
    record = Record(
        business_id=business_id,
        key=key,
        application_id=last.application_id,
        decided_by=last.decided_by,
        subjects=list(last.subjects),
        content=dict(last.content),
        withdrawn=True,
    )
    return await _append(session, record, last, at=at)


async def _append(session: AsyncSession, record: Record, last: Record | None, *, at: datetime) -> Record:
    record.id, record.version, record.event_sequence = new_id(), 1, 0
    record.history_number = last.history_number + 1 if last else 1
    record.operated_at, record.withheld = at, False
    taken_at = await repository.taken_before(session, record.business_id, record.key, record.history_number)
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
        ApplicationWithdrawn: the applicant has taken the application back.
        RecordSuperseded: the record has a later 履歴番号.
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
    await _still_open(session, record)
    acknowledged = record.acknowledge(at)
    if acknowledged is not None:  # who decides has it
        outbox.add(session, acknowledged, record)
    record.version += 1
    for field in ("result_id", "decision", "reason_code", "decided_on", "amount_yen", "valid_from", "valid_to"):
        setattr(record, field, getattr(result, field))
    outbox.add(session, record.decided(), record)
    return record


async def _still_open(session: AsyncSession, record: Record) -> None:
    last = await repository.newest(session, record.business_id, record.key)
    if last is not None and last.withdrawn:
        raise ApplicationWithdrawn(
            "取り下げられた申請です。審査を止め、取下げの履歴番号の標準レコードを取得して受領を知らせてください。"
        )
    if last is not None and last.history_number != record.history_number:
        raise RecordSuperseded("最新の履歴番号の標準レコードを取得し、その内容で決定して送ってください。")


def _is_same(record: Record, result: Result) -> bool:
    fields = ("decision", "reason_code", "decided_on", "amount_yen", "valid_from", "valid_to")
    return all(getattr(record, field) == getattr(result, field) for field in fields)
