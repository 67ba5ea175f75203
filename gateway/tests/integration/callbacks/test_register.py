"""Registering a callback: one's own, at one's own host, with a secret that changes without a gap."""

from datetime import timedelta
from typing import Any

import pytest

from town_kit.auth import Role
from town_kit.ids import new_id


async def test_a_registered_callback_is_its_clients_alone(telling: Any) -> None:
    mine = await telling.partner.registers(telling.url)
    assert [c["id"] for c in (await telling.partner.call("GET")).json()] == [mine]
    assert (await telling.partner.call("GET", f"/{mine}")).json()["url"] == telling.url
    assert (await telling.other.call("GET")).json() == []


@pytest.mark.case("D-18", "D-19")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/secret"),
        ("POST", "/rotate-secret"),
        ("POST", "/resume"),
        ("DELETE", ""),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/{delivery}/retry"),
    ],
)
async def test_another_clients_callback_is_not_there(telling: Any, method: str, path: str) -> None:
    mine = await telling.partner.registers(telling.url)
    await telling.hear("accepted", telling.partner.client_id)
    (delivery,) = await telling.partner.deliveries(mine)
    concrete = path.replace("{delivery}", delivery["id"])
    foreign = await telling.other.call(method, f"/{mine}{concrete}")
    nowhere = await telling.other.call(method, f"/{new_id()}{concrete}")
    assert foreign.status_code == nowhere.status_code == 404
    assert {**foreign.json(), "trace_id": ""} == {**nowhere.json(), "trace_id": ""}
    assert (await telling.partner.call("GET", f"/{mine}")).json()["state"] == "active"


async def test_the_same_url_again_is_the_same_callback_and_there_are_ten_at_most(telling: Any) -> None:
    first = await telling.partner.registers(telling.url)
    assert await telling.partner.registers(telling.url) == first
    for number in range(9):
        await telling.partner.registers(f"{telling.url}/{number}")
    answer = await telling.partner.call("POST", json={"url": f"{telling.url}/more"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:town:problem:too-many-callbacks")


async def test_the_secret_is_sealed_and_stands_in_no_stored_answer(telling: Any) -> None:
    callback = await telling.partner.registers(telling.url)
    secret = (await telling.partner.secrets(callback))["secret"]
    assert secret.startswith("whsec_")
    (row,) = await telling.rows("SELECT secret FROM callbacks WHERE id = :id", id=callback)
    assert secret.encode() not in bytes(row.secret)
    for query in ("SELECT body::text FROM idempotency_keys", "SELECT r::text FROM audit_records r"):
        assert not [r for r in await telling.rows(query) if secret.removeprefix("whsec_") in r[0]]


async def test_a_secret_changes_with_a_day_on_which_both_sign(telling: Any) -> None:
    callback = await telling.partner.registers(telling.url)
    old = (await telling.partner.secrets(callback))["secret"]
    assert (await telling.partner.call("POST", f"/{callback}/rotate-secret")).status_code == 200
    both = await telling.partner.secrets(callback)
    assert both["previous_secret"] == old != both["secret"]
    again = await telling.partner.call("POST", f"/{callback}/rotate-secret")
    assert again.json()["type"] == "urn:town:problem:state-conflict"
    assert await telling.partner.secrets(callback) == both


async def test_a_removed_callback_takes_what_waits_for_it_along(telling: Any) -> None:
    callback = await telling.partner.registers(telling.url)
    await telling.hear("accepted", telling.partner.client_id)
    assert (await telling.partner.call("DELETE", f"/{callback}")).status_code == 204
    telling.clock.advance(timedelta(minutes=1))
    await telling.send()
    assert telling.receiver.came == []
    left = await telling.rows("SELECT 1 FROM callback_deliveries WHERE callback_id = :id", id=callback)
    assert left == []


@pytest.mark.parametrize("role", [Role.RESIDENT, Role.STAFF, Role.SERVICE])
async def test_only_a_vendors_client_has_callbacks(telling: Any, role: Role) -> None:
    mine = await telling.partner.registers(telling.url)
    headers = dict(telling.partner.issuer.headers(role, "callbacks:read callbacks:write"))
    answer = await telling.partner.gateway.get(f"/v1/callbacks/{mine}", headers=headers)
    assert answer.status_code == 403
