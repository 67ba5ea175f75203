"""Claim, send, mark: nothing is lost, a repeat carries the same id, and an emergency waits for nobody."""

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from town_kit.clock import JST
from town_kit.ids import new_id
from town_notifications.channels import Channel, Lane
from town_notifications.deliveries import repository
from town_notifications.deliveries.domain import LEASE, State


async def delivery(api: Any, event: Any, channel: str = "push") -> Any:
    (row,) = await api.rows(
        """SELECT d.* FROM deliveries d JOIN messages m ON m.id = d.message_id
            WHERE m.source_event_id = :event AND d.channel = :channel""",
        event=event,
        channel=channel,
    )
    return row


@pytest.mark.runbook("プッシュ・メールの送信先")
async def test_a_busy_provider_is_tried_again_after_the_pause_with_the_same_id(api: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    api.outside.fault("fcm", kind="unavailable_fcm", count=1)
    event = await api.hear("approved")
    await api.send_all()
    first = await delivery(api, event)
    assert (first.state, first.tries, first.last_code) == ("queued", 1, "UNAVAILABLE")
    assert (await api.messages(event))[0].state == "queued"
    await api.send_all()
    assert (await delivery(api, event)).tries == 1  # not before its time
    api.clock.advance(timedelta(seconds=13))
    await api.send_all()
    (push,) = api.outside.pushed(device=token)
    assert push["message"]["data"]["delivery_id"] == str(first.id)
    assert (await delivery(api, event)).state == "sent"
    assert (await api.messages(event))[0].state == "delivered"


async def test_an_app_that_was_removed_is_forgotten_and_the_message_goes_to_staff(api: Any) -> None:
    await api.register_device("unregistered-7")
    event = await api.hear("correction_requested")
    await api.send_all()
    assert (await delivery(api, event)).last_code == "UNREGISTERED"
    assert await api.rows("SELECT 1 FROM devices WHERE push_token = 'unregistered-7'") == []
    (message,) = await api.messages(event)
    assert (message.state, message.list_name, message.list_reason) == ("handed_to_staff", "phone", "all_failed")


async def test_a_mail_box_that_is_gone_is_not_written_to_again(api: Any) -> None:
    person = api.resident_id
    point = new_id()
    await api.rows(
        """INSERT INTO contact_points
             (id, person_id, address, state, registered_at, issue, issued_at, attempts, code_tries)
           VALUES (:id, :person, 'unknown-9@example.jp', 'confirmed', now(), 1, now(), 0, 0) RETURNING id""",
        id=point,
        person=person,
    )
    event = await api.hear("approved")
    await api.send_all()
    assert (await delivery(api, event, "email")).state == "failed"
    (row,) = await api.rows("SELECT state FROM contact_points WHERE id = :id", id=point)
    assert row.state == "bounced"


@pytest.mark.runbook("プッシュ・メールの送信先")
async def test_one_channel_that_fails_does_not_undo_the_other(api: Any) -> None:
    await api.register_device(f"unregistered-{new_id()}")
    await api.confirm_address(f"a-{new_id()}@example.jp")
    event = await api.hear("approved")
    await api.work("deliveries.ordinary.push")
    assert (await api.messages(event))[0].state == "queued"
    await api.work("deliveries.ordinary.email")
    assert (await api.messages(event))[0].state == "delivered"


async def test_a_delivery_whose_worker_died_goes_out_again_under_its_id(api: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    event = await api.hear("approved")
    async with api.service.database.begin() as session:  # a worker takes it and dies
        now = api.clock.now()
        (held,) = await repository.claim(session, lane=Lane.ORDINARY, channel=Channel.PUSH, limit=10, now=now)
    await api.send_all()
    assert api.outside.pushed(device=token) == []
    api.clock.advance(LEASE + timedelta(seconds=1))
    await api.send_all()
    (push,) = api.outside.pushed(device=token)
    assert push["message"]["data"]["delivery_id"] == str(held.id)
    assert (await delivery(api, event)).state == "sent"


async def test_a_late_answer_of_a_lost_lease_changes_nothing(api: Any) -> None:
    await api.register_device(f"device-{new_id()}")
    event = await api.hear("approved")
    async with api.service.database.begin() as session:
        now = api.clock.now()
        (held,) = await repository.claim(session, lane=Lane.ORDINARY, channel=Channel.PUSH, limit=10, now=now)
    api.clock.advance(LEASE + timedelta(seconds=1))
    await api.send_all()
    late = repository.Mark(held.id, held.tries, State.FAILED, "late", None, None)
    async with api.service.database.begin() as session:
        await repository.mark(session, [late], now=api.clock.now())
    assert (await delivery(api, event)).state == "sent"


async def test_quiet_hours_put_off_what_is_ordinary(api: Any) -> None:
    local = api.clock.now().astimezone(JST)
    start, end = (local - timedelta(hours=1)).time(), (local + timedelta(hours=2)).time()
    wish = {
        "language": "ja",
        "push": True,
        "email": True,
        "quiet_from": start.strftime("%H:%M"),
        "quiet_until": end.strftime("%H:%M"),
    }
    await api.client.put("/v1/preferences", json=wish, headers=api.resident(**{"If-Match": '"0"'}))
    token = f"device-{new_id()}"
    await api.register_device(token)
    event = await api.hear("approved")
    await api.send_all()
    assert api.outside.pushed(device=token) == []
    first = (await delivery(api, event)).next_attempt_at.astimezone(JST)
    assert first.time() == time(end.hour, end.minute)
    assert timedelta(hours=1) < first - local < timedelta(hours=3)
    assert isinstance(first, datetime)


async def test_what_was_read_in_the_app_is_not_pushed_afterwards(api: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    event = await api.hear("approved")
    (message,) = await api.messages(event)
    answer = await api.client.post(f"/v1/messages/{message.id}/read", headers=api.resident())
    assert answer.json()["read_at"] is not None
    await api.send_all()
    assert api.outside.pushed(device=token) == []
    assert (await delivery(api, event)).state == "cancelled"
    assert (await api.messages(event))[0].state == "delivered"


async def test_a_kill_between_sending_and_marking_repeats_and_loses_nothing(api: Any, monkeypatch: Any) -> None:
    token = f"device-{new_id()}"
    await api.register_device(token)
    event = await api.hear("approved")

    async def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(repository, "mark", killed)
        with pytest.raises(KeyboardInterrupt):
            await api.work("deliveries.ordinary.push")
    api.clock.advance(LEASE + timedelta(seconds=1))
    await api.send_all()
    pushes = api.outside.pushed(device=token)
    assert len(pushes) == 2
    assert len({push["message"]["data"]["delivery_id"] for push in pushes}) == 1
    assert (await delivery(api, event)).state == "sent"
