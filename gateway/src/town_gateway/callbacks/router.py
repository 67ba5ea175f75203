"""HTTP to use cases and back, for vendors' clients; what is told goes out from ``send.py``."""

from datetime import datetime
from uuid import UUID

from fastapi import Response

from town_gateway.callbacks import repository, service
from town_gateway.callbacks.domain import CallbackState, DeliveryState
from town_gateway.callbacks.errors import CallbackUrlRefused, TooManyCallbacks
from town_gateway.callbacks.schemas import CallbackView, DeliveryView, RegisterRequest, SecretView
from town_gateway.ports import Wired
from town_kit.auth import VENDOR
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import NotFound, StateConflict
from town_kit.routing import Actor, Audit, Begin, TownRouter, Tx
from town_kit.schemas import Page

BASIS = "個人情報の保護に関する法律69条"
READ, WRITE = "callbacks:read", "callbacks:write"

router = TownRouter(prefix="/v1/callbacks", tags=["通知先"])


def _audit(action: str) -> Audit:
    return Audit(f"callback.{action}", basis=BASIS, purpose="外部連携")


@router.post(
    "",
    scope=WRITE,
    roles=(VENDOR,),
    audit=_audit("register"),
    problems=(CallbackUrlRefused, TooManyCallbacks),
    status_code=201,
)
async def register_callback(
    body: RegisterRequest, begin: Begin, actor: Actor, wired: Wired, response: Response
) -> CallbackView:
    """通知先を登録する。自分のアプリから出された申請の動きが届きます。署名の秘密鍵は別に読み取ります。"""
    await service.check_url(wired.destinations, actor.client_id, body.url)
    tx = await begin()
    callback = await service.register(tx, wired.callback_sealer, actor, body.url, at=wired.clock.now())
    response.headers["Location"] = f"/v1/callbacks/{callback.id}"
    return CallbackView.of(callback)


@router.get("", scope=READ, roles=(VENDOR,), audit=_audit("list"))
async def list_callbacks(tx: Tx, actor: Actor) -> list[CallbackView]:
    """登録した通知先の一覧（10件まで）。"""
    return [CallbackView.of(callback) for callback in await repository.all_of(tx, actor)]


@router.get("/{callback_id}", scope=READ, roles=(VENDOR,), audit=_audit("read"), problems=(NotFound,))
async def read_callback(callback_id: UUID, tx: Tx, actor: Actor) -> CallbackView:
    """通知先を見る。"""
    return CallbackView.of(await repository.one(tx, callback_id, actor))


@router.get("/{callback_id}/secret", scope=WRITE, roles=(VENDOR,), audit=_audit("read-secret"), problems=(NotFound,))
async def read_secret(callback_id: UUID, tx: Tx, actor: Actor, wired: Wired, response: Response) -> SecretView:
    """署名の秘密鍵を読み取る。"""
    callback = await repository.one(tx, callback_id, actor)
    secret, *previous = service.signing_secrets(callback, wired.callback_sealer, wired.clock.now())
    response.headers["Cache-Control"] = "no-store"
    return SecretView(secret=secret, previous_secret=previous[0] if previous else None)


@router.post(
    "/{callback_id}/rotate-secret",
    scope=WRITE,
    roles=(VENDOR,),
    audit=_audit("rotate-secret"),
    problems=(NotFound, StateConflict),
)
async def rotate_secret(callback_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> CallbackView:
    """署名の秘密鍵を新しくする。24時間は、新旧どちらの署名も付きます。"""
    callback = await repository.one(tx, callback_id, actor, lock=True)
    service.rotate_secret(callback, wired.callback_sealer, at=wired.clock.now())
    return CallbackView.of(callback)


@router.post(
    "/{callback_id}/resume", scope=WRITE, roles=(VENDOR,), audit=_audit("resume"), problems=(NotFound, StateConflict)
)
async def resume_callback(callback_id: UUID, tx: Tx, actor: Actor) -> CallbackView:
    """止まった通知先を再開する。止まっている間の配信は、一件ずつ送り直せます。"""
    callback = await repository.one(tx, callback_id, actor, lock=True)
    if callback.state == CallbackState.ACTIVE:
        raise StateConflict("この通知先は動いています。")
    callback.state = CallbackState.ACTIVE
    return CallbackView.of(callback)


@router.delete(
    "/{callback_id}", scope=WRITE, roles=(VENDOR,), audit=_audit("remove"), problems=(NotFound,), status_code=204
)
async def remove_callback(callback_id: UUID, tx: Tx, actor: Actor) -> None:
    """通知先を消す。まだ届いていない配信も消えます。"""
    await service.remove(tx, callback_id, actor)


@router.get(
    "/{callback_id}/deliveries", scope=READ, roles=(VENDOR,), audit=_audit("list-deliveries"), problems=(NotFound,)
)
async def list_deliveries(
    callback_id: UUID,
    tx: Tx,
    actor: Actor,
    state: DeliveryState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[DeliveryView]:
    """配信の一覧（新しい順）。送信のたびの結果が分かります。届いたものは30日で消えます。"""
    callback = await repository.one(tx, callback_id, actor)
    after = decode(cursor, datetime, UUID)
    rows = await repository.deliveries(tx, callback, state=state, after=after, limit=limit)
    shown = rows[:limit]
    tried = await repository.attempts(tx, [row.id for row in shown])
    following = encode([shown[-1].occurred_at, shown[-1].id]) if len(rows) > limit else None
    return Page(items=[DeliveryView.of(row, tried[row.id]) for row in shown], next_cursor=following)


@router.post(
    "/{callback_id}/deliveries/{delivery_id}/retry",
    scope=WRITE,
    roles=(VENDOR,),
    audit=_audit("retry-delivery"),
    problems=(NotFound, StateConflict),
)
async def retry_delivery(callback_id: UUID, delivery_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> DeliveryView:
    """配信を送り直す。webhook-id は同じです。"""
    callback = await repository.one(tx, callback_id, actor, lock=True)
    delivery = await repository.delivery(tx, callback, delivery_id)
    service.retry(callback, delivery, at=wired.clock.now())
    tried = await repository.attempts(tx, [delivery.id])
    return DeliveryView.of(delivery, tried[delivery.id])
