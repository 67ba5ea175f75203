"""Use cases of callbacks: register, rotate, resume, retry, remove."""

import base64
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.callbacks import repository
from town_gateway.callbacks.destinations import DestinationRefused, Destinations, HostUnknown
from town_gateway.callbacks.domain import (
    CALLBACKS_A_CLIENT,
    OVERLAP,
    SECRET_BYTES,
    CallbackState,
    DeliveryState,
)
from town_gateway.callbacks.errors import CallbackUrlRefused, TooManyCallbacks
from town_gateway.callbacks.models import Callback, CallbackDelivery
from town_kit.auth import Principal
from town_kit.ids import new_id
from town_kit.problems import FieldError, StateConflict
from town_kit.sealing import ColumnSealer

REASONS = {
    "form": "https:// で始まる英小文字のホスト名とパスだけの URL にしてください。",
    "not-https": "https の URL にしてください。",
    "host-not-registered": "利用システムの登録のときに届け出たホスト名にしてください。",
    "address-not-public": "インターネットから届くアドレスのホストにしてください。",
    "host-unknown": "ホスト名のアドレスが見つかりません。DNS を確認してください。",
}


async def check_url(destinations: Destinations, client_id: str, url: str) -> None:
    """Look where a URL leads, before the transaction; nothing is connected to.

    Raises:
        CallbackUrlRefused: the town would not send there.
    """
    try:
        await destinations.judge(client_id, url)
    except DestinationRefused as refused:
        reason = refused.reason
    except HostUnknown:
        reason = "host-unknown"
    else:
        return
    raise CallbackUrlRefused("通知先の URL を確認してください。", errors=[FieldError("/url", reason, REASONS[reason])])


async def register(
    session: AsyncSession, sealer: ColumnSealer, actor: Principal, url: str, *, at: datetime
) -> Callback:
    """Register a callback with a fresh secret; one that is registered already is answered as it stands.

    Raises:
        TooManyCallbacks: the client has ten.
    """
    known = await repository.all_of(session, actor)
    for callback in known:
        if callback.url == url:
            return callback
    if len(known) >= CALLBACKS_A_CLIENT:
        raise TooManyCallbacks("使っていない通知先を消してから、もう一度登録してください。")
    callback = Callback(
        id=new_id(),
        owner_id=actor.id,
        client_id=actor.client_id,
        url=url,
        state=CallbackState.ACTIVE,
        previous_secret=None,
        previous_until=None,
        registered_at=at,
    )
    callback.secret = sealer.seal(secrets.token_bytes(SECRET_BYTES), callback.id.bytes)
    session.add(callback)
    return callback


def rotate_secret(callback: Callback, sealer: ColumnSealer, *, at: datetime) -> None:
    """Give a callback a new secret; both sign for 24 hours, so that its receiver can change over.

    Raises:
        StateConflict: the one before the present one still signs; a third would leave somebody without a good one.
    """
    if callback.previous_until is not None and callback.previous_until > at:
        raise StateConflict("前の秘密鍵がまだ有効です。有効期限が過ぎてから、もう一度更新してください。")
    callback.previous_secret, callback.previous_until = callback.secret, at + OVERLAP
    callback.secret = sealer.seal(secrets.token_bytes(SECRET_BYTES), callback.id.bytes)


def signing_secrets(callback: Callback, sealer: ColumnSealer, at: datetime) -> list[str]:
    """The secrets that sign now, the present one first, as ``whsec_…``."""
    sealed = [callback.secret]
    if callback.previous_secret is not None and callback.previous_until is not None and callback.previous_until > at:
        sealed.append(callback.previous_secret)
    return ["whsec_" + base64.b64encode(sealer.open(each, callback.id.bytes)).decode() for each in sealed]


def retry(callback: Callback, delivery: CallbackDelivery, *, at: datetime) -> None:
    """Send a delivery again under its own id, with all its tries before it.

    Raises:
        StateConflict: the callback is disabled.
    """
    if callback.state != CallbackState.ACTIVE:
        raise StateConflict("通知先を再開してから、もう一度送ってください。")
    delivery.state, delivery.settled_at = DeliveryState.WAITING, None
    delivery.schedule_from, delivery.next_attempt_at = delivery.attempts, at


async def remove(session: AsyncSession, callback_id: UUID, actor: Principal) -> None:
    """Remove a callback with everything that waits for it.

    Raises:
        NotFound: there is none, or it is another client's.
    """
    await session.delete(await repository.one(session, callback_id, actor, lock=True))
