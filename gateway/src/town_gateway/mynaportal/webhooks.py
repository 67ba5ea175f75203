"""The portal's webhook (Standard Webhooks): signed, taken once, and turned into the event "poll now".

It runs at the edge and believes nothing but the signature: what the body says is not read, so a forged or replayed
message could at worst cause a poll. Whether anything waits is found by asking the portal.
"""

import base64
import binascii
from datetime import timedelta

from fastapi import Request, Response
from pydantic import SecretStr
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook

from town_gateway.mynaportal.events import PortalPollRequested
from town_gateway.mynaportal.models import Portal, WebhookMessage
from town_gateway.ports import Wired
from town_kit import telemetry
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.messaging import outbox
from town_kit.problems import PayloadTooLarge, WebhookSignature
from town_kit.routing import Audit, Begin, TownRouter

MYNAPORTAL = "mynaportal"
SECRET_BYTES = range(24, 65)
BODY_LIMIT = 20_000
ID_LIMIT = 255
REMEMBER = timedelta(days=14)

router = TownRouter(prefix="/webhooks", tags=["Webhook"])


def check_secret(secret: SecretStr) -> SecretStr:
    """A symmetric secret of the standard: ``whsec_`` and base64 of 24 to 64 bytes; two of them during a change.

    Raises:
        ValueError: it is not; the library itself would take one byte.
    """
    texts = secret.get_secret_value().split()
    if not 1 <= len(texts) <= 2 or not all(map(_is_secret, texts)):
        raise ValueError("the webhook secret is whsec_ and base64 of 24 to 64 bytes; during a change, new and old")
    return secret


def _is_secret(text: str) -> bool:
    try:
        size = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        size = 0
    return text.startswith("whsec_") and size in SECRET_BYTES


def verify(secret: SecretStr, body: bytes, request: Request) -> str:
    """The id of a webhook whose signature and time (± 300 s) hold.

    Raises:
        WebhookSignature: they do not, whatever the reason; the library raises more than its own error.
    """
    message_id = request.headers.get("webhook-id", "")
    if not 0 < len(message_id) <= ID_LIMIT or not any(
        _holds(t, body, request) for t in secret.get_secret_value().split()
    ):
        raise WebhookSignature("署名・時刻・識別子を確認してください。")
    return message_id


def _holds(secret: str, body: bytes, request: Request) -> bool:
    try:
        Webhook(secret).verify(body, dict(request.headers), json_parse=False)
    except Exception:
        return False
    return True


async def take(session: AsyncSession, message_id: str, clock: Clock) -> bool:
    """Remember the webhook and ask for a poll; False when it was taken before.

    Parallel repeats wait here for the first to commit, and then find its row.
    """
    row = {"portal": MYNAPORTAL, "message_id": message_id, "received_at": clock.now()}
    taken = await session.execute(
        insert(WebhookMessage).values(row).on_conflict_do_nothing().returning(WebhookMessage.message_id)
    )
    if taken.scalar_one_or_none() is None:
        return False
    # Its key stays free: the row above refers to it, and two webhooks at once would wait for each other for ever.
    locked = select(Portal).where(Portal.name == MYNAPORTAL).with_for_update(key_share=True)
    portal = (await session.execute(locked)).scalar_one()
    outbox.add(session, PortalPollRequested(portal_id=portal.id, portal=portal.name), portal)
    return True


async def forget(database: Database, clock: Clock) -> int:
    """Remove webhooks that are too old to be repeated; the standard's retries end after 76 hours."""
    async with database.begin() as session:
        old = delete(WebhookMessage).where(WebhookMessage.received_at < clock.now() - REMEMBER)
        gone = (await session.execute(old.returning(WebhookMessage.message_id))).scalars().all()
    return len(gone)


@router.post(
    "/mynaportal",
    scope=None,
    audit=Audit("portal-webhook.take", basis="行政手続法7条", purpose="ぴったりサービスの申請の取得の開始"),
    official="Standard Webhooks",
    problems=(WebhookSignature, PayloadTooLarge),
    status_code=204,
)
async def take_portal_webhook(request: Request, begin: Begin, wired: Wired) -> Response:
    """マイナポータルからの通知を受け取る。署名を確かめ、申請の取得をすぐに始めます。同じ通知は一度だけ扱います。"""
    assert wired.webhook_secret is not None, "the route is served only where there is a secret"
    try:
        message_id = verify(wired.webhook_secret, await _bounded(request), request)
    except (WebhookSignature, PayloadTooLarge) as refusal:
        telemetry.count("webhooks_refused", portal=MYNAPORTAL, reason=refusal.slug)
        raise
    await take(await begin(), message_id, wired.clock)
    return Response(status_code=204)


async def _bounded(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise PayloadTooLarge("通知の本文は 20 KB までです。")
    return body
