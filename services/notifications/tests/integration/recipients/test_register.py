"""Devices, addresses and preferences are the person's own; an address counts only after its code came back."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.testing import PostgresServer
from town_kit.testing.plans import plans_of
from town_notifications.channels import Channel
from town_notifications.main import MIGRATIONS
from town_notifications.recipients import repository


async def test_a_phone_that_changed_hands_no_longer_tells_its_last_owner(api: Any) -> None:
    token, other = f"device-{new_id()}", new_id()
    await api.register_device(token)
    await api.register_device(token, person=other)
    assert (await api.client.get("/v1/devices", headers=api.resident())).json() == []
    event = await api.hear("approved")
    await api.send_all()
    assert api.outside.pushed(device=token) == []
    assert (await api.messages(event))[0].state == "handed_to_staff"


async def test_registering_a_device_again_renews_it(api: Any) -> None:
    token = f"device-{new_id()}"
    first, second = await api.register_device(token), await api.register_device(token)
    assert first["id"] == second["id"]
    assert len((await api.client.get("/v1/devices", headers=api.resident())).json()) == 1


async def test_another_persons_device_is_not_there(api: Any) -> None:
    device = await api.register_device(f"device-{new_id()}")
    answer = await api.client.delete(f"/v1/devices/{device['id']}", headers=api.resident(new_id()))
    assert answer.status_code == 404
    assert len(await api.rows("SELECT 1 FROM devices WHERE id = :id", id=device["id"])) == 1


async def test_staff_see_no_device_and_no_address(api: Any) -> None:
    for path in ("/v1/devices", "/v1/contact-points", "/v1/preferences", "/v1/messages"):
        assert (await api.client.get(path, headers=api.officer())).status_code == 403
    await api.register_device(f"device-{new_id()}")
    async with api.service.database.begin(role="staff", principal=api.officer_id) as session:
        from sqlalchemy import text

        assert (await session.execute(text("SELECT count(*) FROM devices"))).scalar_one() == 0


async def test_an_unconfirmed_address_gets_its_code_and_nothing_else(api: Any) -> None:
    address = f"hanako-{new_id()}@example.jp"
    answer = await api.client.post("/v1/contact-points", json={"address": address}, headers=api.resident())
    assert answer.json()["state"] == "pending"
    assert await api.work("contact-points.confirming") == 1
    event = await api.hear("approved")
    await api.send_all()
    assert [mail["subject"] for mail in api.mail_to(address)] == ["【穴水町】メールアドレスの確認"]
    assert (await api.messages(event))[0].state == "handed_to_staff"


async def test_a_wrong_code_counts_and_five_end_it(api: Any) -> None:
    answer = await api.client.post("/v1/contact-points", json={"address": "a@example.jp"}, headers=api.resident())
    path = f"/v1/contact-points/{answer.json()['id']}/confirm"
    await api.work("contact-points.confirming")
    right = code_in(api.mail_to("a@example.jp")[-1])
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    left = [
        (await api.client.post(path, json={"code": wrong}, headers=api.resident())).json()["attempts_left"]
        for _ in range(5)
    ]
    assert left == [4, 3, 2, 1, 0]
    refused = await api.client.post(path, json={"code": right}, headers=api.resident())
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:town:problem:state-conflict")


async def test_a_code_ends_after_thirty_minutes_and_another_replaces_it(api: Any) -> None:
    address = f"a-{new_id()}@example.jp"
    point = (await api.client.post("/v1/contact-points", json={"address": address}, headers=api.resident())).json()
    await api.work("contact-points.confirming")
    old = code_in(api.mail_to(address)[-1])
    api.clock.advance(timedelta(minutes=31))
    path = f"/v1/contact-points/{point['id']}"
    assert (await api.client.post(f"{path}/confirm", json={"code": old}, headers=api.resident())).status_code == 409
    assert (await api.client.post(f"{path}/send-code", headers=api.resident())).status_code == 200
    await api.work("contact-points.confirming")
    mails = api.mail_to(address)
    assert len({mail["message_id"] for mail in mails}) == 2
    new = code_in(mails[-1])
    confirmed = await api.client.post(f"{path}/confirm", json={"code": new}, headers=api.resident())
    assert confirmed.json()["state"] == "confirmed"


async def test_a_mail_server_that_is_busy_gets_the_same_code_later(api: Any) -> None:
    address = f"a-{new_id()}@example.jp"
    api.outside.fault("smtp_control", kind="temporary")
    await api.client.post("/v1/contact-points", json={"address": address}, headers=api.resident())
    await api.work("contact-points.confirming")
    assert api.mail_to(address) == []
    api.clock.advance(timedelta(seconds=6))
    await api.work("contact-points.confirming")
    assert len(api.mail_to(address)) == 1


@pytest.mark.parametrize("address", ["not an address", "a@example.jp\r\nBcc: b@example.jp", "花子@example.jp"])
async def test_what_is_no_address_is_refused_and_not_repeated(api: Any, address: str) -> None:
    answer = await api.client.post("/v1/contact-points", json={"address": address}, headers=api.resident())
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:town:problem:validation-failed")
    assert address not in answer.text


async def test_preferences_are_set_on_the_version_that_was_read(api: Any) -> None:
    first = await api.client.get("/v1/preferences", headers=api.resident())
    assert (first.headers["etag"], first.json()["language"]) == ('"0"', "ja")
    wish = {"language": "en", "push": True, "email": False, "quiet_from": "22:00", "quiet_until": "07:00"}
    without = await api.client.put("/v1/preferences", json=wish, headers=api.resident())
    assert without.status_code == 428
    done = await api.client.put("/v1/preferences", json=wish, headers=api.resident(**{"If-Match": '"0"'}))
    assert (done.status_code, done.headers["etag"], done.json()["quiet_from"]) == (200, '"1"', "22:00")
    stale = await api.client.put("/v1/preferences", json=wish, headers=api.resident(**{"If-Match": '"0"'}))
    assert stale.status_code == 412


async def test_one_end_of_the_quiet_hours_alone_is_refused(api: Any) -> None:
    wish = {"language": "ja", "push": True, "email": True, "quiet_from": "22:00", "quiet_until": None}
    answer = await api.client.put("/v1/preferences", json=wish, headers=api.resident(**{"If-Match": '"0"'}))
    assert answer.status_code == 422


async def test_a_person_is_told_in_her_language_by_the_channels_she_wants(api: Any) -> None:
    token, address = f"device-{new_id()}", f"a-{new_id()}@example.jp"
    await api.register_device(token)
    await api.confirm_address(address)
    wish = {"language": "en", "push": False, "email": True, "quiet_from": None, "quiet_until": None}
    await api.client.put("/v1/preferences", json=wish, headers=api.resident(**{"If-Match": '"0"'}))
    event = await api.hear("approved")
    await api.send_all()
    assert api.outside.pushed(device=token) == []
    assert "was approved" in api.mail_to(address)[-1]["text"]
    assert (await api.messages(event))[0].language == "en"


def code_in(mail: dict[str, Any]) -> str:
    return next(word for word in str(mail["text"]).split() if len(word) == 6 and word.isdigit())


async def test_how_a_person_is_reached_is_read_off_indexes_however_many_there_are(
    postgres_server: PostgresServer,
) -> None:
    urls = postgres_server.create_database("notifications_plans", MIGRATIONS)
    async with Database(urls.app_url).running() as database, database.begin() as session:
        [plan] = await plans_of(session, partial(repository.reach, session, [], frozenset(Channel)))
    assert plan.count("Index Cond: (person_id = found.person_id)") == 3, plan
