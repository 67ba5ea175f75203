"""An emergency message reaches every device and address at once, or, as a drill, nobody."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.testing.auth import eventually
from town_kit.worker import work
from town_notifications.main import create_service

REACHED_SECONDS = 3.0  # an emergency message reaches every channel that works, and what none may add to another
HANGS_SECONDS = 60.0

TEXTS = {
    "ja": {"title": "避難指示", "body": "川が増水しています。高台へ避難してください。"},
    "en": {"title": "Evacuate", "body": "The river is rising. Go to high ground."},
}


async def preview(api: Any, **changes: Any) -> dict[str, Any]:
    body = {"texts": TEXTS, "status": "actual", "valid_hours": 24} | changes
    answer = await api.client.post("/v1/emergency-messages/preview", json=body, headers=api.officer())
    assert answer.status_code == 200, answer.text
    return body | {"confirmed_digest": answer.json()["content_digest"], "shown": answer.json()}


async def send(api: Any, **changes: Any) -> Any:
    body = await preview(api, **changes)
    del body["shown"]
    return await api.client.post("/v1/emergency-messages", json=body, headers=api.officer())


async def progress(api: Any, id_: str) -> dict[str, Any]:
    view = (await api.client.get(f"/v1/emergency-messages/{id_}", headers=api.officer())).json()
    view["counts"] = {(d["channel"], d["state"]): d["count"] for d in view["deliveries"]}
    return dict(view)


async def test_a_preview_counts_whom_it_reaches_and_sends_nothing(api: Any) -> None:
    await api.register_device(f"device-{new_id()}")
    await api.confirm_address(f"a-{new_id()}@example.jp")
    shown = (await preview(api))["shown"]
    assert shown["audience"] == {"devices": 1, "addresses": 1, "persons": 1}
    assert shown["live"] is True
    assert shown["texts"]["ja-simple"] == TEXTS["ja"]
    assert await api.work("emergency-messages.fan-out") == 0


async def test_it_reaches_every_device_and_address_in_their_language_with_its_whole_text(api: Any) -> None:
    token, english, address = f"device-{new_id()}", f"device-{new_id()}", f"a-{new_id()}@example.jp"
    other = new_id()
    await api.register_device(token)
    await api.confirm_address(address)
    await api.register_device(english, person=other)
    wish = {"language": "en", "push": False, "email": False, "quiet_from": "00:00", "quiet_until": "23:59"}
    await api.client.put("/v1/preferences", json=wish, headers=api.resident(other, **{"If-Match": '"0"'}))
    answer = await send(api)
    assert answer.status_code == 202, answer.text
    await api.work("emergency-messages.fan-out")
    await api.send_all("emergency")
    assert api.outside.pushed(device=token)[0]["message"]["notification"] == TEXTS["ja"]
    assert api.outside.pushed(device=english)[0]["message"]["notification"] == TEXTS["en"]
    assert api.mail_to(address)[-1]["subject"] == "避難指示"
    view = await progress(api, answer.json()["id"])
    assert (view["state"], view["persons"]) == ("dispatched", 2)
    assert view["counts"] == {("email", "sent"): 1, ("inbox", "sent"): 2, ("push", "sent"): 2}
    inbox = (await api.client.get("/v1/messages", headers=api.resident())).json()["items"]
    assert (inbox[0]["priority"], inbox[0]["title"]) == ("emergency", "避難指示")


async def test_it_does_not_wait_behind_ordinary_messages(api: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    ordinary = [await api.hear("approved") for _ in range(3)]
    await send(api)
    await api.work("emergency-messages.fan-out")
    await api.send_all("emergency")
    assert [p["message"]["data"]["emergency"] for p in api.outside.pushed(device=token)] == ["true"]
    assert {(await api.messages(event))[0].state for event in ordinary} == {"queued"}
    lanes = api.service.extras["ports"].lanes
    assert all(lanes["ordinary"][channel] is not lanes["emergency"][channel] for channel in lanes["ordinary"])


@pytest.mark.case("D-43")
@pytest.mark.parametrize("status", ["exercise", "test"])
async def test_a_drill_counts_and_reaches_nobody(api: Any, status: str) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    answer = await send(api, status=status)
    await api.work("emergency-messages.fan-out")
    await api.send_all("emergency")
    assert api.outside.pushed(device=token) == []
    assert (await api.client.get("/v1/messages", headers=api.resident())).json()["items"] == []
    view = await progress(api, answer.json()["id"])
    assert (view["state"], view["counts"]) == ("dispatched", {("push", "withheld"): 1, ("email", "withheld"): 0})


async def test_what_was_not_previewed_is_not_sent(api: Any) -> None:
    body = await preview(api)
    del body["shown"]
    changed = body | {"valid_hours": 48}
    answer = await api.client.post("/v1/emergency-messages", json=changed, headers=api.officer())
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:town:problem:preview-outdated")
    assert await api.work("emergency-messages.fan-out") == 0


async def test_the_same_request_twice_is_one_emergency_message(api: Any) -> None:
    body = await preview(api)
    del body["shown"]
    headers = api.officer()
    first = await api.client.post("/v1/emergency-messages", json=body, headers=headers)
    again = await api.client.post("/v1/emergency-messages", json=body, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_taking_it_back_stops_what_is_waiting_and_tells_everybody(api: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    sent = await send(api)
    await api.work("emergency-messages.fan-out")
    texts = {"ja": {"title": "訂正", "body": "先ほどの避難指示は誤りでした。"}}
    correction = await preview(api, texts=texts)
    del correction["shown"]
    path = f"/v1/emergency-messages/{sent.json()['id']}/cancel"
    headers = api.officer(**{"If-Match": sent.headers["etag"]})
    answer = await api.client.post(path, json=correction, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["follows"] == sent.json()["id"]
    await api.work("emergency-messages.fan-out")
    await api.send_all("emergency")
    assert [p["message"]["notification"]["title"] for p in api.outside.pushed(device=token)] == ["訂正"]
    view = await progress(api, sent.json()["id"])
    assert (view["state"], view["counts"][("push", "cancelled")]) == ("cancelled", 1)
    stale = await api.client.post(path, json=correction, headers=api.officer(**{"If-Match": sent.headers["etag"]}))
    assert stale.status_code == 412


async def test_whom_it_does_not_reach_stands_on_the_phone_list(api: Any) -> None:
    await api.register_device(f"unregistered-{new_id()}")
    sent = await send(api)
    await api.work("emergency-messages.fan-out")
    await api.send_all("emergency")
    rows = await api.rows(
        "SELECT state, list_name FROM messages WHERE emergency_message_id = :id", id=sent.json()["id"]
    )
    assert [(r.state, r.list_name) for r in rows] == [("handed_to_staff", "phone")]


@pytest.mark.case("D-43")
async def test_a_repeated_request_and_a_dead_channel_leave_the_other_with_one_message(api: Any) -> None:
    token, address = f"device-{new_id()}", f"a-{new_id()}@example.jp"
    await api.register_device(token)
    await api.confirm_address(address)
    before = len(api.mail_to(address))
    api.outside.fault("fcm", kind="unavailable_fcm", count=1)
    body = await preview(api)
    del body["shown"]
    headers = api.officer()
    for _ in range(2):
        assert (await api.client.post("/v1/emergency-messages", json=body, headers=headers)).status_code == 202
    for _ in range(2):
        await api.work("emergency-messages.fan-out")
    await api.send_all("emergency")
    assert (len(api.outside.pushed(device=token)), len(api.mail_to(address)) - before) == (0, 1)
    api.clock.advance(timedelta(seconds=3))
    await api.send_all("emergency")
    assert (len(api.outside.pushed(device=token)), len(api.mail_to(address)) - before) == (1, 1)


@pytest.mark.case("D-43")
async def test_a_channel_that_hangs_delays_no_other_and_is_tried_again(api: Any) -> None:
    """The emergency lane as its own process runs it; the push service takes requests and never answers them."""
    token, address = f"device-{new_id()}", f"a-{new_id()}@example.jp"
    await api.register_device(token)
    await api.confirm_address(address)
    before = len(api.mail_to(address))
    api.outside.fault("fcm", kind="timeout", count=1, seconds=HANGS_SECONDS)

    async def is_mailed() -> bool:
        return len(await asyncio.to_thread(api.mail_to, address)) > before

    async def is_given_up() -> bool:
        rows = await api.rows("SELECT d.tries FROM deliveries d WHERE d.channel = 'push' AND d.state = 'queued'")
        return [row.tries for row in rows] == [1]

    async def is_pushed() -> bool:
        return bool(await asyncio.to_thread(partial(api.outside.pushed, device=token)))

    lane = create_service(api.service.settings, clock=api.clock)
    async with working(lane):
        asked = time.monotonic()
        assert (await send(api)).status_code == 202
        await eventually(is_mailed, within=REACHED_SECONDS)
        await eventually(is_given_up, within=HANGS_SECONDS / 2)
        assert time.monotonic() - asked > REACHED_SECONDS, "it did not hang"
        assert not await is_pushed()
        api.clock.advance(timedelta(seconds=3))
        await eventually(is_pushed, within=REACHED_SECONDS)
    assert (len(api.outside.pushed(device=token)), len(api.mail_to(address)) - before) == (1, 1)


@asynccontextmanager
async def working(service: Any) -> AsyncIterator[None]:
    """The emergency lane of a service, as in its process."""
    lane = asyncio.create_task(work(service, ordinary=False))
    try:
        yield
    finally:
        lane.cancel()
        with suppress(asyncio.CancelledError):
            await lane


async def test_a_dead_provider_is_tried_every_few_seconds_at_first(api: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    api.outside.fault("fcm", kind="unavailable_fcm", count=2)
    await send(api)
    await api.work("emergency-messages.fan-out")
    for _ in range(3):
        await api.send_all("emergency")
        api.clock.advance(timedelta(seconds=3))
    assert len(api.outside.pushed(device=token)) == 1


async def test_a_resident_cannot_send_one(api: Any) -> None:
    body = {"texts": TEXTS, "status": "actual", "valid_hours": 24}
    answer = await api.client.post("/v1/emergency-messages/preview", json=body, headers=api.resident())
    assert answer.status_code == 403
