"""The adapters against real servers: what each answer means, and what a repeat looks like."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from town_kit.clock import FixedClock
from town_kit.ids import new_id
from town_notifications.channels import Outgoing, Verdict
from town_notifications.channels.fcm import FcmChannel
from town_notifications.channels.service_account import ServiceAccount
from town_notifications.channels.smtp import MailServer, SmtpChannel

NOBODY = 9  # the discard port: nobody listens


def outgoing(clock: FixedClock, address: str, **changes: Any) -> Outgoing:
    made = Outgoing(
        delivery_id=new_id(),
        message_id=new_id(),
        address=address,
        title="【穴水町】お知らせがあります",
        body="ログインして確認してください。",
        valid_until=clock.now() + timedelta(hours=1),
        urgent=False,
    )
    return replace(made, **changes)


def push_channel(outside: Any, clock: FixedClock, address: str | None = None) -> FcmChannel:
    account = ServiceAccount.load(outside.service_account)
    token_url = f"{outside.addresses['fcm']}/token"
    return FcmChannel(account, address=address or outside.addresses["fcm"], token_url=token_url, clock=clock)


def mail_channel(outside: Any, clock: FixedClock, port: int | None = None) -> SmtpChannel:
    real = int(outside.addresses["smtp"].rsplit(":", 1)[1])
    server = MailServer("127.0.0.1", port or real, "no-reply@town.invalid", "town.invalid", tls="none")
    return SmtpChannel(server, clock)


@pytest.fixture
async def push(outside: Any, clock: FixedClock) -> AsyncIterator[FcmChannel]:
    async with push_channel(outside, clock).running() as channel:
        yield channel


@pytest.fixture
async def mail(outside: Any, clock: FixedClock) -> AsyncIterator[SmtpChannel]:
    async with mail_channel(outside, clock).running() as channel:
        yield channel


async def test_a_push_arrives_with_its_ids_and_is_dropped_by_the_phone_when_repeated(
    push: FcmChannel, outside: Any, clock: FixedClock
) -> None:
    one = outgoing(clock, f"device-{new_id()}")
    outcomes = [await push.send(one), await push.send(one)]
    assert [o.verdict for o in outcomes] == [Verdict.SENT] * 2
    assert (outcomes[0].provider_id or "").startswith("projects/anamizu-sandbox/messages/")
    first, second = (entry["message"] for entry in outside.pushed(device=one.address))
    assert first == second
    assert first["android"]["notification"]["tag"] == first["data"]["delivery_id"] == str(one.delivery_id)
    assert first["android"]["ttl"] == "3600s"


async def test_many_pushes_at_once_ask_for_one_token(push: FcmChannel, outside: Any, clock: FixedClock) -> None:
    before = len(outside._received("fcm", kind="token"))
    outcomes = await asyncio.gather(*(push.send(outgoing(clock, f"device-{new_id()}")) for _ in range(20)))
    assert {o.verdict for o in outcomes} == {Verdict.SENT}
    assert len(outside._received("fcm", kind="token")) == before + 1


@pytest.mark.parametrize(
    ("fault", "verdict", "code"),
    [
        ("unregistered", Verdict.GONE, "UNREGISTERED"),
        ("quota", Verdict.RETRY, "QUOTA_EXCEEDED"),
        ("unavailable_fcm", Verdict.RETRY, "UNAVAILABLE"),
        ("internal", Verdict.RETRY, "INTERNAL"),
    ],
)
async def test_an_error_of_the_push_service_means_what_its_code_says(
    push: FcmChannel, outside: Any, clock: FixedClock, fault: str, verdict: Verdict, code: str
) -> None:
    outside.fault("fcm", kind=fault)
    outcome = await push.send(outgoing(clock, f"device-{new_id()}"))
    assert (outcome.verdict, outcome.code) == (verdict, code)


async def test_a_cut_connection_is_tried_again_with_the_same_id(
    push: FcmChannel, outside: Any, clock: FixedClock
) -> None:
    one = outgoing(clock, f"device-{new_id()}")
    await push.send(outgoing(clock, f"device-{new_id()}"))  # so that the token is there
    outside.fault("fcm", kind="drop_reply", path="messages:send")
    assert (await push.send(one)).verdict is Verdict.RETRY
    assert (await push.send(one)).verdict is Verdict.SENT
    ids = {entry["message"]["data"]["delivery_id"] for entry in outside.pushed(device=one.address)}
    assert ids == {str(one.delivery_id)}


async def test_an_account_the_provider_does_not_know_sends_nothing(
    outside: Any, clock: FixedClock, tmp_path: Path
) -> None:
    document = json.loads(outside.service_account.read_bytes())
    foreign = tmp_path / "account.json"
    foreign.write_text(json.dumps(document | {"client_email": "somebody@else.invalid"}))
    channel = FcmChannel(
        ServiceAccount.load(foreign),
        address=outside.addresses["fcm"],
        token_url=f"{outside.addresses['fcm']}/token",
        clock=clock,
    )
    async with channel.running():
        outcome = await channel.send(outgoing(clock, "device-1"))
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "token-400")


async def test_a_push_service_that_is_away_is_no_exception(outside: Any, clock: FixedClock) -> None:
    async with push_channel(outside, clock, f"http://127.0.0.1:{NOBODY}").running() as channel:
        outcome = await channel.send(outgoing(clock, "device-1"))
    assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "unreachable")


async def test_an_emergency_push_is_of_high_priority(push: FcmChannel, clock: FixedClock) -> None:
    message = push.message(outgoing(clock, "device-1", urgent=True))
    assert message["android"]["priority"] == "HIGH"
    assert message["apns"]["headers"]["apns-priority"] == "10"
    assert all(isinstance(value, str) for value in message["data"].values())


async def test_a_mail_carries_the_delivery_as_its_message_id(
    mail: SmtpChannel, outside: Any, clock: FixedClock
) -> None:
    one = outgoing(clock, f"hanako-{new_id()}@example.jp")
    assert (await mail.send(one)).verdict is Verdict.SENT
    assert (await mail.send(one)).verdict is Verdict.SENT
    first, second = outside.mailed(message_id=f"<{one.delivery_id}@town.invalid>")
    assert first["recipients"] == second["recipients"] == [one.address]
    assert first["subject"] == one.title
    assert first["text"].strip() == one.body
    assert first["headers"]["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize(
    ("fault", "verdict"), [("temporary", Verdict.RETRY), ("permanent", Verdict.FAILED), ("busy", Verdict.RETRY)]
)
async def test_a_refusal_of_the_mail_server_means_what_its_first_digit_says(
    mail: SmtpChannel, outside: Any, clock: FixedClock, fault: str, verdict: Verdict
) -> None:
    outside.fault("smtp_control", kind=fault)
    assert (await mail.send(outgoing(clock, "hanako@example.jp"))).verdict is verdict
    assert (await mail.send(outgoing(clock, "hanako@example.jp"))).verdict is Verdict.SENT


async def test_a_mail_box_that_does_not_exist_is_gone(mail: SmtpChannel, clock: FixedClock) -> None:
    outcome = await mail.send(outgoing(clock, "unknown-1@example.jp"))
    assert (outcome.verdict, outcome.code) == (Verdict.GONE, "550")


async def test_a_reply_lost_after_the_mail_was_taken_is_a_repeat_of_one_id(
    mail: SmtpChannel, outside: Any, clock: FixedClock
) -> None:
    one = outgoing(clock, f"hanako-{new_id()}@example.jp")
    outside.fault("smtp_control", kind="drop_reply")
    assert (await mail.send(one)).verdict is Verdict.RETRY
    assert (await mail.send(one)).verdict is Verdict.SENT
    assert len(outside.mailed(message_id=f"<{one.delivery_id}@town.invalid>")) == 2


async def test_a_mail_server_that_is_away_is_no_exception(outside: Any, clock: FixedClock) -> None:
    async with mail_channel(outside, clock, NOBODY).running() as channel:
        assert (await channel.send(outgoing(clock, "hanako@example.jp"))).verdict is Verdict.RETRY


async def test_a_mail_server_without_starttls_gets_nothing_when_tls_is_required(
    outside: Any, clock: FixedClock
) -> None:
    port = int(outside.addresses["smtp"].rsplit(":", 1)[1])
    channel = SmtpChannel(MailServer("127.0.0.1", port, "no-reply@town.invalid", "town.invalid"), clock)
    one = outgoing(clock, f"hanako-{new_id()}@example.jp")
    async with channel.running():
        assert (await channel.send(one)).verdict is Verdict.RETRY
    assert outside.mailed(message_id=f"<{one.delivery_id}@town.invalid>") == []


@pytest.mark.parametrize("title", ["件名\r\nBcc: other@example.jp", "件名\nX: y"])
async def test_a_line_break_cannot_slip_a_header_in(mail: SmtpChannel, clock: FixedClock, title: str) -> None:
    with pytest.raises(ValueError):
        await mail.send(outgoing(clock, "hanako@example.jp", title=title))
