"""One event, one message to each recipient party; it ends delivered, expired or in human hands."""

import json
from datetime import timedelta
from typing import Any

from town_kit.clock import japan_date
from town_kit.ids import new_id


async def test_an_event_becomes_one_message_by_push_and_mail(api: Any) -> None:
    token, address = f"device-{new_id()}", f"hanako-{new_id()}@example.jp"
    await api.register_device(token)
    await api.confirm_address(address)
    event = await api.hear("approved")
    await api.send_all()
    (message,) = await api.messages(event)
    assert (message.state, message.language) == ("delivered", "ja")
    (push,) = api.outside.pushed(device=token)
    assert push["message"]["notification"] == {
        "title": "【穴水町】お知らせがあります",
        "body": "ログインして確認してください。",
    }
    assert push["message"]["data"]["application_id"] == str(message.application_id)
    assert message.reference not in json.dumps(push["message"])
    (_, mail) = api.mail_to(address)
    assert message.reference in mail["text"]
    deliveries = await api.rows("SELECT channel, state, id FROM deliveries WHERE message_id = :m", m=message.id)
    assert sorted((d.channel, d.state) for d in deliveries) == [("email", "sent"), ("inbox", "sent"), ("push", "sent")]
    mail_id = next(d.id for d in deliveries if d.channel == "email")
    assert mail["message_id"] == f"<{mail_id}@town.invalid>"


async def test_the_same_event_heard_twice_is_one_message(api: Any) -> None:
    event = await api.hear("submitted")
    await api.hear("submitted", event_id=event)
    assert len(await api.messages(event)) == 1


async def test_applicant_and_proxy_are_told_and_others_are_not(api: Any) -> None:
    applicant, proxy, member = new_id(), new_id(), new_id()
    parties = [
        {"role": "applicant", "person_id": applicant},
        {"role": "proxy", "person_id": proxy},
        {"role": "household_member", "person_id": member},
        {"role": "subject", "person_id": None},
    ]
    messages = await api.messages(await api.hear("submitted", parties=parties))
    assert {m.person_id for m in messages} == {applicant, proxy}


async def test_whom_no_channel_reaches_stands_on_the_letter_list_at_once(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    assert (message.state, message.list_name, message.list_reason) == ("handed_to_staff", "letters", "no_channel")
    assert message.listed_on == japan_date(api.clock.now())
    (event,) = await api.rows("SELECT type, data FROM outbox WHERE key = :id", id=message.id)
    assert event.type == "town.notifications.message.handed_to_staff.v1"
    assert json.loads(event.data)["list_name"] == "letters"


async def test_an_application_of_nobody_known_is_one_message_for_staff(api: Any) -> None:
    parties = [{"role": "applicant", "person_id": None}, {"role": "proxy", "person_id": None}]
    (message,) = await api.messages(await api.hear("correction_requested", parties=parties))
    assert (message.person_id, message.state, message.list_name) == (None, "handed_to_staff", "phone")


async def test_a_message_nobody_could_bring_is_handed_over_in_time_for_a_letter(api: Any) -> None:
    await api.register_device(f"device-{new_id()}")
    event = await api.hear("approved")  # valid for 30 days
    api.clock.advance(timedelta(days=24))
    assert await api.work("messages.handing-over") == 0
    api.clock.advance(timedelta(days=1))
    await api.work("messages.handing-over")
    (message,) = await api.messages(event)
    assert (message.state, message.list_reason) == ("handed_to_staff", "expiring")
    states = await api.rows("SELECT state FROM deliveries WHERE message_id = :m AND channel = 'push'", m=message.id)
    assert [s.state for s in states] == ["handed_to_staff"]


async def test_a_message_that_makes_no_sense_on_paper_expires_with_its_deliveries_and_stands_on_no_list(
    api: Any,
) -> None:
    await api.register_device(f"device-{new_id()}")
    event = await api.hear("completed")  # valid for 30 days, `unreached: expire`
    api.clock.advance(timedelta(days=30) - timedelta(seconds=1))
    assert await api.work("messages.handing-over") == 0
    api.clock.advance(timedelta(seconds=1))
    await api.work("messages.handing-over")
    (message,) = await api.messages(event)
    assert (message.state, message.list_name, message.list_reason) == ("expired", None, None)
    states = await api.rows("SELECT state FROM deliveries WHERE message_id = :m AND channel = 'push'", m=message.id)
    assert [s.state for s in states] == ["expired"]
    events = await api.rows("SELECT type FROM outbox WHERE key = :id ORDER BY sequence", id=message.id)
    assert [e.type.split(".")[-2] for e in events] == ["queued", "expired"]


async def test_events_say_queued_then_delivered_and_name_no_address(api: Any) -> None:
    address = f"hanako-{new_id()}@example.jp"
    await api.confirm_address(address)
    event = await api.hear("accepted")
    await api.send_all()
    (message,) = await api.messages(event)
    events = await api.rows("SELECT type, sequence, data FROM outbox WHERE key = :id ORDER BY sequence", id=message.id)
    assert [(e.type.split(".")[-2], e.sequence) for e in events] == [("queued", 1), ("delivered", 2)]
    assert all(address.encode() not in bytes(e.data) and message.title.encode() not in bytes(e.data) for e in events)


async def test_a_person_linked_later_keeps_what_she_was_sent(api: Any) -> None:
    provisional, known = new_id(), new_id()
    token = f"device-{new_id()}"
    await api.register_device(token, person=provisional)
    first = await api.hear("submitted", parties=[{"role": "applicant", "person_id": provisional}])
    await link(api, provisional, known)
    later = await api.hear("approved", parties=[{"role": "applicant", "person_id": provisional}])
    assert {m.person_id for m in await api.messages(first) + await api.messages(later)} == {known}
    inbox = await api.client.get("/v1/messages", headers=api.resident(known))
    assert len(inbox.json()["items"]) == 2
    assert (await api.client.get("/v1/messages", headers=api.resident(provisional))).json()["items"] == []


async def link(api: Any, old: Any, new: Any) -> None:
    from town_kit.messaging.event import Received
    from town_notifications.recipients.consumers import PersonLinked

    (consumer,) = [c for c in api.service.consumers if c.name == "notifications.persons"]
    event = Received(
        data=PersonLinked(from_person_id=old, to_person_id=new),
        key=new,
        sequence=1,
        id=new_id(),
        occurred_at=api.clock.now(),
        traceparent=None,
    )
    async with api.service.database.begin() as session:
        await consumer.handlers[PersonLinked](session, event)
