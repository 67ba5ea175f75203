"""庁内データ連携 over HTTP: each business has its routes, its scopes and its rows; the core system pulls.

Scopes are ``提供側業務ID:APIコール名:操作種類`` as the 共通機能標準仕様書 writes them.
"""

from town_kit.auth import VENDOR
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import NotFound
from town_kit.routing import Audit, TownRouter, Tx
from town_kit.writing import touch
from town_standardization.adapters import Adapter
from town_standardization.base import act_for
from town_standardization.ports import Wired
from town_standardization.records import repository, service
from town_standardization.records.errors import (
    ApplicationWithdrawn,
    DecidedByStaff,
    DecidedOtherwise,
    RecordSuperseded,
)
from town_standardization.records.schemas import (
    Acknowledged,
    AcknowledgeRequest,
    RecordPage,
    RecordView,
    ResultRequest,
    ResultView,
)

BASIS = "地方公共団体情報システムの標準化に関する法律5条"


def linkage_router(adapter: Adapter) -> TownRouter:
    """The routes of one business."""
    business_id = adapter.business_id
    router = TownRouter(prefix=f"/v1/data-linkage/{business_id}", tags=["庁内データ連携"])
    scope = f"{business_id}:{adapter.api_call}"

    @router.get(
        "/records",
        name=f"pull_records_{business_id}",
        scope=f"{scope}:Read",
        roles=(VENDOR,),
        audit=Audit("record.pull", basis=BASIS, purpose=f"{business_id} 庁内データ連携"),
    )
    async def pull_records(tx: Tx, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> RecordPage:
        """標準レコードを取得する。前回の next_cursor から続けると、漏れも重なりもありません。

        申請の差替と取下げは、同じキーの次の履歴番号で届きます。
        """
        await act_for(tx, business_id)
        begin = decode(cursor, int)
        rows = await repository.after(tx, business_id, begin[0] if begin else 0, limit)
        touch(tx, subjects=[s for row in rows for s in row.subjects], fields=("record",))
        following = encode([rows[-1].position]) if rows else cursor
        return RecordPage(records=[RecordView.of(row) for row in rows], next_cursor=following)

    @router.post(
        "/acknowledgements",
        name=f"acknowledge_records_{business_id}",
        scope=f"{scope}:Read",
        roles=(VENDOR,),
        audit=Audit("record.acknowledge", basis=BASIS, purpose=f"{business_id} 庁内データ連携"),
        problems=(NotFound,),
    )
    async def acknowledge_records(body: AcknowledgeRequest, tx: Tx, wired: Wired) -> Acknowledged:
        """受け取った標準レコードをキーと履歴番号で知らせる。"""
        await act_for(tx, business_id)
        names = [(one.key, one.history_number) for one in body.acknowledgements]
        return Acknowledged(noted=await service.acknowledge(tx, business_id, names, at=wired.clock.now()))

    @router.post(
        "/results",
        name=f"take_result_{business_id}",
        scope=f"{scope}:Create",
        roles=(VENDOR,),
        audit=Audit("record.decide", basis=BASIS, purpose=f"{business_id} 庁内データ連携"),
        problems=(NotFound, DecidedByStaff, DecidedOtherwise, ApplicationWithdrawn, RecordSuperseded),
    )
    async def take_result(body: ResultRequest, tx: Tx, wired: Wired) -> ResultView:
        """基幹業務システムの決定を受け取る。申請者への通知と状態はこの決定から進みます。"""
        await act_for(tx, business_id)
        name = (body.key, body.history_number)
        record = await service.take_result(tx, business_id, name, body.result(), at=wired.clock.now())
        return ResultView(
            key=record.key,
            history_number=record.history_number,
            decision=body.decision,
            reason_code=record.reason_code,
            decided_on=body.decided_on,
        )

    return router
