"""The portal's webhook: signed, in time, once; whatever it says, all it can do is cause a poll."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from standardwebhooks import Webhook
from starlette.requests import Request

from town_gateway.mynaportal.webhooks import check_secret, forget, verify
from town_kit import telemetry
from town_kit.clock import FixedClock, SystemClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.problems import WebhookSignature

BODY = b'{"type": "application.submitted", "data": {"uketsukeBango": "1"}}'


def signed(secret: str, body: bytes = BODY, *, off: float = 0, message_id: str | None = None) -> dict[str, str]:
    message_id = message_id or f"msg_{new_id()}"
    at = SystemClock().now() + timedelta(seconds=off)
    signature = Webhook(secret).sign(message_id, at, body.decode())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
        "content-type": "application/json",
    }


async def polls_requested(database: Database) -> int:
    async with database.begin() as session:
        count = text("SELECT count(*) FROM outbox WHERE type = 'town.gateway.portal-poll.requested.v1'")
        return int((await session.execute(count)).scalar_one())


async def recorded(database: Database) -> list[str]:
    """What the audit trail says of webhooks, in order."""
    async with database.begin() as session:
        results = text("SELECT result FROM audit_records WHERE action = 'portal-webhook.take' ORDER BY id")
        return list((await session.execute(results)).scalars())


@pytest.fixture
async def before(gateway_database: Database) -> int:
    return await polls_requested(gateway_database)


async def test_a_signed_webhook_becomes_the_event_poll_now(
    gateway: Any, webhook_secret: str, gateway_database: Database, before: int
) -> None:
    answer = await gateway.post("/webhooks/mynaportal", content=BODY, headers=signed(webhook_secret))

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await recorded(gateway_database))[-1] == "done"
    assert await polls_requested(gateway_database) == before + 1


@pytest.mark.case("D-24")
async def test_the_same_webhook_fifty_times_has_one_effect(
    gateway: Any, webhook_secret: str, gateway_database: Database, before: int
) -> None:
    headers = signed(webhook_secret)
    statuses = []
    for _ in range(5):
        calls = (gateway.post("/webhooks/mynaportal", content=BODY, headers=headers) for _ in range(10))
        statuses += [answer.status_code for answer in await asyncio.gather(*calls)]

    assert statuses == [204] * 50
    assert await polls_requested(gateway_database) == before + 1


@pytest.mark.case("D-23")
@pytest.mark.parametrize("wrong", ["one space more", "301 s old", "301 s ahead", "another secret", "no id", "garbage"])
async def test_a_webhook_that_does_not_hold_is_refused_and_has_no_effect(
    gateway: Any, webhook_secret: str, gateway_database: Database, before: int, wrong: str
) -> None:
    headers, body = signed(webhook_secret), BODY
    match wrong:
        case "one space more":
            body = BODY + b" "
        case "301 s old":
            headers = signed(webhook_secret, off=-301)
        case "301 s ahead":
            headers = signed(webhook_secret, off=302)  # the library floors the time it signs
        case "another secret":
            headers = signed("whsec_" + base64.b64encode(b"another secret of some length...").decode())
        case "no id":
            del headers["webhook-id"]
        case "garbage":
            headers["webhook-signature"] = "v1 ,,, \x7f"

    kept = await recorded(gateway_database)
    with telemetry.recording() as told:
        answer = await gateway.post("/webhooks/mynaportal", content=body, headers=headers)
        counted = told.metric("webhooks_refused")

    assert await recorded(gateway_database) == [*kept, "refused:webhook-signature"]
    assert counted == [({"portal": "mynaportal", "reason": "webhook-signature"}, 1)]
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:town:problem:webhook-signature"
    assert answer.json()["trace_id"]
    assert await polls_requested(gateway_database) == before
    after = await gateway.post("/webhooks/mynaportal", content=BODY, headers=signed(webhook_secret))
    assert after.status_code == 204


def request_with(headers: dict[str, str]) -> Request:
    return Request({"type": "http", "headers": [(k.encode(), v.encode()) for k, v in headers.items()]})


def holds(secrets: str, headers: dict[str, str]) -> bool:
    try:
        verify(check_secret(SecretStr(secrets)), BODY, request_with(headers))
    except WebhookSignature:
        return False
    return True


@pytest.mark.case("D-40")
def test_webhooks_of_both_secrets_hold_during_a_change_and_of_the_new_one_after(webhook_secret: str) -> None:
    new = "whsec_" + base64.b64encode(b"the secret after the change, long").decode()
    for secrets, old_holds, new_holds in (
        (webhook_secret, True, False),
        (f"{new} {webhook_secret}", True, True),
        (new, False, True),
    ):
        assert (holds(secrets, signed(webhook_secret)), holds(secrets, signed(new))) == (old_holds, new_holds)
    with pytest.raises(ValueError, match="24 to 64"):
        check_secret(SecretStr(f"{new} {webhook_secret} {new}"))


@pytest.mark.case("D-37")
@pytest.mark.parametrize(("minutes", "expected"), [(5, False), (-5, False), (4, True), (-4, True)])
def test_a_clock_five_minutes_wrong_refuses_webhooks(webhook_secret: str, minutes: int, expected: bool) -> None:
    # +5 min on this machine's clock is a webhook 5 min old; one second more, for the library takes exactly 300 s
    off = -60 * minutes + (-1 if minutes > 0 else 2)
    assert holds(webhook_secret, signed(webhook_secret, off=off)) is expected


async def test_webhooks_at_once_do_not_wait_for_each_other(gateway: Any, webhook_secret: str) -> None:
    posts = (gateway.post("/webhooks/mynaportal", content=BODY, headers=signed(webhook_secret)) for _ in range(40))

    answers = await asyncio.gather(*posts)

    assert {answer.status_code for answer in answers} == {204}


async def test_bytes_that_are_not_text_are_refused_like_any_unsigned_ones(gateway: Any, webhook_secret: str) -> None:
    answer = await gateway.post("/webhooks/mynaportal", content=b"\xff\xfe", headers=signed(webhook_secret))

    assert answer.status_code == 401


async def test_a_long_body_is_not_read_to_its_end(gateway: Any, webhook_secret: str) -> None:
    body = b"x" * 20_001
    answer = await gateway.post("/webhooks/mynaportal", content=body, headers=signed(webhook_secret, body))

    assert answer.status_code == 413


@pytest.mark.parametrize("size", [1, 23, 65])
def test_a_weak_secret_is_refused_before_anything_starts(size: int) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        check_secret(SecretStr("whsec_" + base64.b64encode(b"s" * size).decode()))


async def test_a_repeat_is_known_for_a_week_at_least(
    gateway: Any, webhook_secret: str, gateway_database: Database
) -> None:
    headers = signed(webhook_secret)
    await gateway.post("/webhooks/mynaportal", content=BODY, headers=headers)

    async def known() -> bool:
        async with gateway_database.begin() as session:
            count = text("SELECT count(*) FROM webhook_messages WHERE message_id = :id")
            return bool((await session.execute(count, {"id": headers["webhook-id"]})).scalar_one())

    now = datetime.now(UTC)  # noqa: TID251 - the server's rows carry the machine's time
    await forget(gateway_database, FixedClock(now + timedelta(days=8)))
    assert await known()
    await forget(gateway_database, FixedClock(now + timedelta(days=15)))
    assert not await known()
