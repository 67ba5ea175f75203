"""The inbox of the app."""

from datetime import timedelta
from typing import Any

import pytest

from town_kit.ids import new_id


@pytest.mark.parametrize("step", [timedelta(seconds=1), -timedelta(minutes=5)], ids=["forward", "set-back"])
async def test_the_inbox_shows_what_was_written_last_first_page_by_page(api: Any, step: timedelta) -> None:
    references = []
    for fact in ("submitted", "accepted", "approved"):
        (message,) = await api.messages(await api.hear(fact))
        references.append(message.reference)
        api.clock.advance(step)
    first = (await api.client.get("/v1/messages", params={"limit": 2}, headers=api.resident())).json()
    second = (
        await api.client.get(
            "/v1/messages", params={"limit": 2, "cursor": first["next_cursor"]}, headers=api.resident()
        )
    ).json()
    shown = [item["reference"] for item in first["items"] + second["items"]]
    assert shown == references[::-1]
    assert second["next_cursor"] is None


async def test_another_persons_message_is_not_there(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    stranger = api.resident(new_id())
    assert (await api.client.get("/v1/messages", headers=stranger)).json()["items"] == []
    assert (await api.client.get(f"/v1/messages/{message.id}", headers=stranger)).status_code == 404
    assert (await api.client.post(f"/v1/messages/{message.id}/read", headers=stranger)).status_code == 404


async def test_reading_takes_a_message_off_the_letter_list(api: Any) -> None:
    (message,) = await api.messages(await api.hear("approved"))
    assert message.state == "handed_to_staff"
    await api.client.post(f"/v1/messages/{message.id}/read", headers=api.resident())
    listed = await api.client.get("/v1/undelivered-messages", params={"list": "letters"}, headers=api.officer())
    assert str(message.id) not in listed.text
    events = await api.rows("SELECT type FROM outbox WHERE key = :id ORDER BY sequence", id=message.id)
    assert [e.type.split(".")[-2] for e in events] == ["handed_to_staff", "delivered"]


async def test_unread_messages_can_be_asked_for(api: Any) -> None:
    (one,) = await api.messages(await api.hear("submitted"))
    (two,) = await api.messages(await api.hear("accepted"))
    await api.client.post(f"/v1/messages/{one.id}/read", headers=api.resident())
    unread = await api.client.get("/v1/messages", params={"unread": True}, headers=api.resident())
    assert [item["id"] for item in unread.json()["items"]] == [str(two.id)]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/devices", "/v1/undelivered-messages?list=letters"])
async def test_nothing_is_shown_without_a_token(api: Any, path: str) -> None:
    assert (await api.client.get(path)).status_code == 401
