"""Telling a partner: signed, one id for one event, ten tries, then kept for a person; never dropped."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from town_gateway.callbacks import repository, service
from town_gateway.callbacks.destinations import Destinations
from town_gateway.callbacks.domain import KEEP_DELIVERED, PAUSES
from town_gateway.callbacks.send import Sender
from town_gateway.cli import gateway
from town_kit.auth import Principal, Role
from town_kit.ids import new_id

from .conftest import Receiver, signed_with

WHOLE = timedelta(hours=75, minutes=35, seconds=5)


async def begun(telling: Any) -> tuple[str, str]:
    """A callback and its secret."""
    callback = await telling.partner.registers(telling.url)
    return callback, (await telling.partner.secrets(callback))["secret"]


async def test_a_partner_hears_what_was_filed_through_its_app_and_nothing_else(telling: Any) -> None:
    callback, secret = await begun(telling)
    event_id = new_id()
    for _ in range(2):
        await telling.hear("accepted", telling.partner.client_id, event_id=event_id)
    await telling.hear("accepted", telling.other.client_id)
    await telling.hear("accepted", None)
    await telling.send()

    ((headers, body),) = telling.receiver.came
    assert signed_with(secret, headers, body)
    assert not signed_with(secret, headers, body + " ")
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("application.accepted", "2027-01-05T01:00:00Z")
    assert set(told["data"]) == {"application_id", "reference", "procedure_code", "state", "status_sequence"}
    (delivery,) = await telling.partner.deliveries(callback)
    assert (delivery["state"], delivery["webhook_id"]) == ("delivered", headers["webhook-id"])
    assert [attempt["result"] for attempt in delivery["attempts"]] == ["204"]


@pytest.mark.runbook("アプリ事業者の通知先（コールバック）")
async def test_ten_tries_of_one_id_then_an_operators_queue_and_from_there_again(telling: Any) -> None:
    callback, _ = await begun(telling)
    telling.receiver.status = 500
    await telling.hear("approved", telling.partner.client_id)
    began, tried = telling.clock.now(), []
    for pause in PAUSES:
        if pause:
            telling.clock.advance(pause - timedelta(seconds=1))
            await telling.send()
            telling.clock.advance(timedelta(seconds=1))
        before = len(telling.receiver.came)
        await telling.send()
        assert len(telling.receiver.came) == before + 1
        tried.append(telling.clock.now() - began)
    assert tried[-1] == WHOLE
    telling.clock.advance(timedelta(days=7))
    await telling.send()
    assert len(telling.receiver.came) == 10
    assert len(set(telling.receiver.ids)) == 1
    (parked,) = await telling.partner.deliveries(callback, state="parked")
    assert [a["result"] for a in parked["attempts"]] == ["500"] * 10

    async with telling.database.begin() as session:
        waiting = [row for row in await repository.parked(session) if row.client_id == telling.partner.client_id]
        assert [(str(row.id), row.attempts, row.result) for row in waiting] == [(parked["id"], 10, "500")]
        client = telling.partner.client_id
        assert await repository.retry(session, telling.clock.now(), delivery=None, client=client) == 1
    telling.receiver.status = 204
    await telling.send()
    assert (await telling.partner.deliveries(callback))[0]["state"] == "delivered"
    assert len(set(telling.receiver.ids)) == 1


async def test_a_partner_retries_a_delivery_itself_under_the_same_id(telling: Any) -> None:
    callback, _ = await begun(telling)
    await telling.hear("completed", telling.partner.client_id)
    await telling.send()
    (delivered,) = await telling.partner.deliveries(callback)
    answer = await telling.partner.call("POST", f"/{callback}/deliveries/{delivered['id']}/retry")
    assert answer.json()["state"] == "waiting"
    await telling.send()
    assert telling.receiver.ids == [delivered["webhook_id"]] * 2


@pytest.mark.runbook("アプリ事業者の通知先（コールバック）")
async def test_gone_disables_and_what_comes_meanwhile_is_kept(telling: Any) -> None:
    callback, _ = await begun(telling)
    telling.receiver.status = 410
    for fact in ("submitted", "accepted"):
        await telling.hear(fact, telling.partner.client_id)
    await telling.send()
    await telling.hear("approved", telling.partner.client_id)
    telling.clock.advance(WHOLE)
    await telling.send()

    assert len(telling.receiver.came) == 1
    assert (await telling.partner.call("GET", f"/{callback}")).json()["state"] == "disabled"
    kept = await telling.partner.deliveries(callback)
    assert [delivery["state"] for delivery in kept] == ["parked"] * 3
    retry = f"/{callback}/deliveries/{kept[0]['id']}/retry"
    assert (await telling.partner.call("POST", retry)).status_code == 409
    telling.receiver.status = 200
    assert (await telling.partner.call("POST", f"/{callback}/resume")).json()["state"] == "active"
    assert (await telling.partner.call("POST", retry)).status_code == 200
    await telling.send()
    assert telling.receiver.ids[1:] == [kept[0]["webhook_id"]]


@pytest.mark.case("D-40")
async def test_both_secrets_sign_for_a_day_and_then_only_the_new_one(telling: Any) -> None:
    callback, old = await begun(telling)
    moment = (await telling.rows("SELECT now() AS at"))[0].at
    telling.clock.advance(moment - telling.clock.now())  # the route rotates by the machine's clock
    await telling.partner.call("POST", f"/{callback}/rotate-secret")
    new = (await telling.partner.secrets(callback))["secret"]
    for _ in range(2):
        await telling.hear("accepted", telling.partner.client_id)
        await telling.send()
        telling.clock.advance(timedelta(hours=25))
    good = [(signed_with(old, *came), signed_with(new, *came)) for came in telling.receiver.came]
    assert good == [(True, True), (False, True)]


@pytest.mark.case("D-36")
async def test_a_kill_between_sending_and_marking_repeats_one_id(telling: Any) -> None:
    await begun(telling)
    telling.receiver.hold = True
    await telling.hear("accepted", telling.partner.client_id)
    async with Sender(telling.database, telling.destinations, telling.sender.sealer, telling.clock).running() as killed:
        await killed.send_due()
        await asyncio.wait_for(telling.receiver.holding.wait(), 5)
    telling.receiver.hold = False
    await telling.send()
    assert len(telling.receiver.came) == 1  # its try is still leased
    telling.clock.advance(timedelta(seconds=31))
    await telling.send()
    assert len(telling.receiver.ids) == 2
    assert len(set(telling.receiver.ids)) == 1


async def test_two_workers_do_not_make_the_same_try(telling: Any) -> None:
    await begun(telling)
    for _ in range(5):
        await telling.hear("accepted", telling.partner.client_id)
    async with Sender(telling.database, telling.destinations, telling.sender.sealer, telling.clock).running() as other:
        await asyncio.gather(telling.send(), other.send_due())
        await other.idle()
    assert len(telling.receiver.came) == len(set(telling.receiver.ids)) == 5


async def test_a_receiver_that_hangs_delays_itself_alone(
    telling: Any, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("town_gateway.callbacks.send.TIMEOUT_SECONDS", 1.0)
    telling.receiver.hold = True
    callback, _ = await begun(telling)
    well = Receiver()
    async with served(well) as address:
        host = address.removeprefix("http://")
        both = {
            telling.partner.client_id: (telling.url.split("/")[2],),
            telling.other.client_id: (host,),
        }
        destinations = Destinations(both, (host, telling.url.split("/")[2]))
        sender = Sender(telling.database, destinations, telling.sender.sealer, telling.clock)
        await telling.hear("accepted", telling.partner.client_id)
        actor = Principal(new_id(), Role.VENDOR, telling.other.client_id, frozenset())
        async with telling.database.begin() as session:
            await service.register(session, sender.sealer, actor, f"{address}/", at=telling.clock.now())
        for _ in range(5):
            await telling.hear("accepted", telling.other.client_id)
        await sender.send_due()
        for _ in range(100):
            if len(well.came) == 5:
                break
            await asyncio.sleep(0.01)
        assert len(well.came) == 5
        assert (await telling.partner.deliveries(callback))[0]["attempts"] == []  # the other one still hangs
        await sender.idle()
    assert [a["result"] for a in (await telling.partner.deliveries(callback))[0]["attempts"]] == ["timeout"]


async def test_a_redirect_is_a_failure_and_is_not_followed(telling: Any) -> None:
    callback, _ = await begun(telling)
    telling.receiver.status, telling.receiver.headers = 302, [(b"location", telling.url.encode() + b"/elsewhere")]
    await telling.hear("accepted", telling.partner.client_id)
    await telling.send()
    assert len(telling.receiver.came) == 1
    assert [a["result"] for a in (await telling.partner.deliveries(callback))[0]["attempts"]] == ["302"]


async def test_what_was_delivered_can_be_sent_again_for_thirty_days(telling: Any) -> None:
    callback, _ = await begun(telling)
    await telling.hear("accepted", telling.partner.client_id)
    await telling.send()
    telling.clock.advance(KEEP_DELIVERED - timedelta(hours=1))
    await telling.sender.look_after()
    assert len(await telling.partner.deliveries(callback)) == 1
    telling.clock.advance(timedelta(hours=2))
    await telling.sender.look_after()
    assert await telling.partner.deliveries(callback) == []


def test_an_operator_names_one_delivery_or_one_client() -> None:
    assert CliRunner().invoke(gateway, ["callbacks", "retry"]).exit_code == 2
