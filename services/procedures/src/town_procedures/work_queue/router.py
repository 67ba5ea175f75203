"""The work queue over HTTP."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field

from town_kit.auth import STAFF
from town_kit.clock import japan_date
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.routing import Actor, Audit, TownRouter, Tx
from town_kit.schemas import Output, Page
from town_kit.writing import touch
from town_procedures.applications import Channel, Flag, State, days_left, flag_label, persons, queue_page
from town_procedures.applications import state_label as label
from town_procedures.ports import Wired
from town_procedures.work_queue.counting import counts

router = TownRouter(prefix="/v1/work-queue", tags=["処理待ち"])


class QueueItem(Output):
    """処理を待つ申請。"""

    id: UUID
    reference: str
    procedure_code: str
    state: str
    state_label: str
    channel: str
    receipt_number: str | None
    received_at: datetime
    due_on: date | None
    days_left: int | None
    flags: list[str]
    flag_labels: list[str] = Field(description="印ごとの、確認することの説明")
    version: int


class QueueCount(Output):
    """手続きと状態ごとの件数。"""

    procedure_code: str
    state: str
    state_label: str
    count: int


@router.get(
    "",
    scope="work-queue:read",
    roles=(STAFF,),
    audit=Audit("work-queue.list", basis="行政手続法7条", purpose="申請の審査の進行管理"),
)
async def list_work_queue(
    tx: Tx,
    actor: Actor,
    wired: Wired,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    state: State | None = None,
    procedure_code: str | None = None,
    channel: Channel | None = None,
    flag: Flag | None = None,
    due_before: Annotated[date | None, Query(description="見込みの日がこの日より前の申請だけ")] = None,
) -> Page[QueueItem]:
    """処理待ちの申請（新しい順）。手続き・状態・経路・確認の印・期限で絞り込めます。"""
    rows = await queue_page(
        tx,
        actor,
        after=decode(cursor, datetime, UUID),
        limit=limit,
        state=state.value if state else None,
        procedure_code=procedure_code,
        channel=channel.value if channel else None,
        flag=flag.value if flag else None,
        due_before=due_before,
        only_open=state is None,
    )
    shown = rows[:limit]
    touch(tx, subjects=[p for row in shown for p in persons(row)], fields=("state",))
    today = japan_date(wired.clock.now())
    items = [
        QueueItem(
            id=row.id,
            reference=row.reference,
            procedure_code=row.procedure_code,
            state=row.state,
            state_label=label(row.state),
            channel=row.channel,
            receipt_number=row.receipt_number,
            received_at=row.received_at,
            due_on=row.due_on,
            days_left=days_left(row.due_on, today),
            flags=list(row.flags),
            flag_labels=[flag_label(one) for one in row.flags],
            version=row.version,
        )
        for row in shown
    ]
    following = encode([shown[-1].received_at, shown[-1].id]) if len(rows) > limit else None
    return Page(items=items, next_cursor=following)


@router.get("/counts", scope="work-queue:read", roles=(STAFF,))
async def read_counts(tx: Tx) -> list[QueueCount]:
    """手続きと状態ごとの件数。1秒以内の新しさです。"""
    return [
        QueueCount(procedure_code=code, state=state, state_label=label(state), count=count)
        for code, state, count in await counts(tx)
    ]
