"""Wire models of callbacks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field

from town_gateway.callbacks.destinations import URL_LIMIT
from town_gateway.callbacks.domain import CallbackState, DeliveryState
from town_gateway.callbacks.models import Callback, CallbackAttempt, CallbackDelivery
from town_kit.schemas import Input, Output


class RegisterRequest(Input):
    """通知先の登録。"""

    url: str = Field(
        max_length=URL_LIMIT,
        description="https の URL。ホスト名は利用システムの登録のときに届け出たもの",
        examples=["https://partner.example/town/callbacks"],
    )


class CallbackView(Output):
    """通知先。"""

    id: UUID
    url: str
    state: CallbackState = Field(description="disabled は、通知先が 410 を返したため止めた状態")
    registered_at: datetime
    previous_secret_until: datetime | None = Field(description="一つ前の秘密鍵でも署名する期限")

    @classmethod
    def of(cls, callback: Callback) -> "CallbackView":
        """The view of a callback."""
        return cls(
            id=callback.id,
            url=callback.url,
            state=CallbackState(callback.state),
            registered_at=callback.registered_at,
            previous_secret_until=callback.previous_until,
        )


class SecretView(Output):
    """署名の秘密鍵（Standard Webhooks の whsec_ 形式）。"""

    secret: str
    previous_secret: str | None = Field(description="更新から24時間は、前の秘密鍵の署名も付きます")


class AttemptView(Output):
    """一回の送信。"""

    number: int
    at: datetime
    result: str = Field(description="返ってきた HTTP の状態、または timeout・connection・refused（接続しなかった）")
    milliseconds: int


class DeliveryView(Output):
    """一件の配信。id は webhook-id ヘッダーの値で、何度送っても変わりません。"""

    id: UUID
    webhook_id: str
    event_type: str
    occurred_at: datetime
    state: DeliveryState
    next_attempt_at: datetime | None
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: CallbackDelivery, attempts: Sequence[CallbackAttempt]) -> "DeliveryView":
        """The view of a delivery and its tries."""
        return cls(
            id=delivery.id,
            webhook_id=webhook_id(delivery.id),
            event_type=delivery.event_type,
            occurred_at=delivery.occurred_at,
            state=DeliveryState(delivery.state),
            next_attempt_at=delivery.next_attempt_at if delivery.state == DeliveryState.WAITING else None,
            attempts=[
                AttemptView(number=a.number, at=a.at, result=a.result, milliseconds=a.milliseconds) for a in attempts
            ],
        )


def webhook_id(delivery_id: UUID) -> str:
    """The ``webhook-id`` of a delivery."""
    return f"msg_{delivery_id}"
