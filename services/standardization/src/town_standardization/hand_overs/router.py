"""Hand-overs over HTTP: what is held and why, and trying again after it was put right."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_

from town_kit.auth import STAFF
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import NotFound, StateConflict
from town_kit.routing import Audit, TownRouter, Tx
from town_kit.schemas import Page
from town_standardization.hand_overs.domain import State
from town_standardization.hand_overs.models import PendingHandOver
from town_standardization.hand_overs.schemas import HandOverView
from town_standardization.ports import Wired

router = TownRouter(prefix="/v1/hand-overs", tags=["引渡し"])


@router.get(
    "",
    scope="hand-overs:read",
    roles=(STAFF,),
    two_factors=True,
    audit=Audit("hand-over.list", basis="番号法9条", purpose="庁内データ連携"),
)
async def list_hand_overs(
    tx: Tx, state: State = State.HELD, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[HandOverView]:
    """標準レコードにならない申請と、その理由の一覧。"""
    query = select(PendingHandOver).where(PendingHandOver.state == state.value)
    after = decode(cursor, datetime, UUID)
    if after is not None:
        query = query.where(tuple_(PendingHandOver.accepted_at, PendingHandOver.id) > tuple_(*after))
    query = query.order_by(PendingHandOver.accepted_at, PendingHandOver.id).limit(limit + 1)
    rows = list((await tx.execute(query)).scalars())
    shown = rows[:limit]
    following = encode([shown[-1].accepted_at, shown[-1].id]) if len(rows) > limit else None
    return Page(items=[HandOverView.of(row) for row in shown], next_cursor=following)


@router.post(
    "/{application_id}/retry",
    scope="hand-overs:retry",
    roles=(STAFF,),
    two_factors=True,
    audit=Audit("hand-over.retry", basis="番号法9条", purpose="庁内データ連携"),
    problems=(NotFound, StateConflict),
)
async def retry_hand_over(application_id: UUID, tx: Tx, wired: Wired) -> HandOverView:
    """保留の申請をもう一度標準レコードにする。原因を直してから使います。"""
    query = select(PendingHandOver).where(PendingHandOver.id == application_id).with_for_update()
    row = (await tx.execute(query)).scalar_one_or_none()
    if row is None:
        raise NotFound("この申請の引渡しはありません。一覧を読み直してください。")
    if row.state != State.HELD:
        raise StateConflict("保留の申請だけやり直せます。一覧を読み直してください。")
    row.state, row.attempts, row.due_at = State.WAITING.value, 0, wired.clock.now()
    row.revision += 1
    return HandOverView.of(row)
