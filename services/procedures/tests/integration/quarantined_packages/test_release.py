"""The way back: a clerk releases, the vault reads the raw package, and its content is judged again."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from town_kit.blobs import open_sealed
from town_sandbox.mynaportal.package import unzip_members

MY_NUMBER = "123456789018"


async def press(portal: Any, view: dict[str, Any], verb: str, body: Any = None) -> Any:
    path = f"/v1/quarantined-packages/{view['id']}/{verb}"
    return await portal.api.client.post(path, json=body, headers=portal.clerk(view["version"]))


async def raw_package(portal: Any, view: dict[str, Any]) -> bytes:
    """What standardization's vault opens."""
    (row,) = await portal.api.rows("SELECT raw_package_id FROM quarantined_packages WHERE id = :id", id=view["id"])
    answer = await portal.api.client.get(f"/v1/raw-packages/{row.raw_package_id}", headers=portal.connector())
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.town.sealed-blob"

    async def pieces() -> Any:
        yield answer.content

    opened = [piece async for piece in open_sealed(pieces(), portal.api.vault, limit=30_000_000)]
    return b"".join(opened)


def released(portal: Any, view: dict[str, Any], package: bytes, **changes: Any) -> dict[str, Any]:
    """What standardization hands in: answers without numbers, the numbers encrypted, digests and signature."""
    members = unzip_members(package)
    signed = members["application.json"]
    document = json.loads(signed)
    procedure = portal.api.service.extras["ports"].catalogue["CH-01"]
    ports = portal.api.service.extras["ports"]
    answers, numbers = document["answers"], []
    for pointer in procedure.my_number_pointers(answers):
        holder = answers
        *path, name = pointer.split("/")[1:]
        for part in path:
            holder = holder[int(part)] if isinstance(holder, list) else holder[part]
        if holder[name]:
            jwe = ports.vault.encrypt(holder[name].encode())
            numbers.append({"pointer": pointer, "role": pointer.split("/")[1], "jwe": jwe})
            holder[name] = None
    cms = members.get("signature.p7s")
    return {
        "released_id": view["id"],
        "procedure_code": "CH-01",
        "answers": answers,
        "my_numbers": numbers,
        "digests": {name: hashlib.new(name, signed).hexdigest() for name in ("sha256", "sha384")},
        "cms": base64.b64encode(cms).decode() if cms else None,
        "documents": [{k: d[k] for k in ("kind", "media_type", "size", "sha256")} for d in document["attachments"]],
    } | changes


async def hand_in(portal: Any, body: dict[str, Any]) -> Any:
    return await portal.api.client.post("/v1/intake/released", json=body, headers=portal.connector())


@pytest.fixture
async def aside(portal: Any, authority: Any) -> dict[str, Any]:
    """A good package for which the wrong town was written."""
    view: dict[str, Any] = await portal.put_aside(
        portal.package(authority.card(), municipality_code="172014"), "wrong-municipality"
    )
    return view


async def test_what_a_release_will_do_is_said_before_it_is_pressed(aside: dict[str, Any]) -> None:
    assert "団体コードの検査だけを省き" in aside["on_release"]
    assert aside["next_step"]


async def test_only_the_vault_reads_the_raw_package(portal: Any, aside: dict[str, Any]) -> None:
    assert b"application.json" in await raw_package(portal, aside)
    (row,) = await portal.api.rows("SELECT raw_package_id FROM quarantined_packages WHERE id = :id", id=aside["id"])
    answer = await portal.api.client.get(f"/v1/raw-packages/{row.raw_package_id}", headers=portal.clerk())
    assert answer.status_code == 403


async def test_a_released_package_becomes_an_application(portal: Any, aside: dict[str, Any]) -> None:
    assert (await press(portal, aside, "release")).json()["state"] == "released"
    body = released(portal, aside, await raw_package(portal, aside))
    answer = (await hand_in(portal, body)).json()
    assert answer["outcome"] == "received"
    (row,) = await portal.applications()
    assert (row.state, row.channel) == ("submitted", "mynaportal")
    assert {n["pointer"] for n in row.my_numbers} >= {"/claimant/my_number"}
    assert MY_NUMBER not in str(row.answers)
    assert await portal.events(aside["id"]) == ["quarantined-package.quarantined", "quarantined-package.released"]
    again = (await hand_in(portal, body)).json()
    assert (again["outcome"], again["application_id"]) == ("already-received", answer["application_id"])
    assert len(await portal.applications()) == 1


async def test_the_package_polled_again_after_its_release_is_known(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card(), municipality_code="172014")
    view = await portal.put_aside(package, "wrong-municipality")
    assert (await portal.received(package))["outcome"] == "quarantined"
    await press(portal, view, "release")
    taken = (await hand_in(portal, released(portal, view, package))).json()
    again = await portal.received(package)
    assert (again["outcome"], again["application_id"]) == ("already-received", taken["application_id"])


async def test_what_is_still_wrong_waits_again_with_the_new_reason(portal: Any, aside: dict[str, Any]) -> None:
    await press(portal, aside, "release")
    body = released(portal, aside, await raw_package(portal, aside), cms=None)
    answer = (await hand_in(portal, body)).json()
    assert (answer["outcome"], answer["reason"]) == ("quarantined", "signature-invalid")
    assert await portal.applications() == []
    assert (await portal.events(aside["id"]))[-1] == "quarantined-package.quarantined"
    view = (await portal.api.client.get(f"/v1/quarantined-packages/{aside['id']}", headers=portal.clerk())).json()
    assert (view["state"], view["reason"]) == ("quarantined", "signature-invalid")


async def test_nothing_is_handed_in_before_a_clerk_has_released_it(portal: Any, aside: dict[str, Any]) -> None:
    answer = await hand_in(portal, released(portal, aside, await raw_package(portal, aside)))
    assert answer.status_code == 409
    assert await portal.applications() == []


async def test_a_clerk_lets_other_content_replace_an_accepted_application(portal: Any, authority: Any) -> None:
    card = authority.card()
    await portal.received(portal.package(card))
    while await portal.accept():
        pass
    package = portal.package(card, answers=portal.api.sample("CH-01") | {"claim_date": "2026-10-06"})
    answer = await portal.received(package)
    path = f"/v1/quarantined-packages/{answer['quarantined_package_id']}"
    view = (await portal.api.client.get(path, headers=portal.clerk())).json()
    await press(portal, view, "release")
    assert (await hand_in(portal, released(portal, view, package))).json()["outcome"] == "received"
    (row,) = await portal.applications()
    assert (row.state, row.revision, row.answers["claim_date"]) == ("accepted", 2, "2026-10-06")
    assert (await portal.events(str(row.id)))[-1] == "application.revised"
    query = "SELECT data FROM outbox WHERE key = :key AND type LIKE '%revised.v1'"
    [told] = await portal.api.rows(query, key=row.id)
    assert json.loads(bytes(told.data))["revision"] == 2


async def test_a_package_that_can_be_taken_when_it_comes_again_needs_no_clerk(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card(), procedure_id="sandbox-atarashii")
    view = await portal.put_aside(package, "procedure-unknown", mynaportal_procedure_id="sandbox-atarashii")
    ports = portal.api.service.extras["ports"]
    claim = ports.catalogue["CH-01"]
    number = claim.mynaportal[0].model_copy(update={"procedure_id": "sandbox-atarashii"})
    ports.catalogue["CH-01"] = replace(claim, mynaportal=(*claim.mynaportal, number))
    answer = await portal.received(package, mynaportal_procedure_id="sandbox-atarashii")
    assert answer["outcome"] == "received"
    assert await portal.events(view["id"]) == ["quarantined-package.quarantined", "quarantined-package.released"]


async def test_a_discarded_package_stays_as_evidence(portal: Any, aside: dict[str, Any]) -> None:
    answer = await press(portal, aside, "discard", {"note": "隣の市あての誤送と確認"})
    assert answer.json()["state"] == "discarded"
    assert await portal.events(aside["id"]) == ["quarantined-package.quarantined", "quarantined-package.discarded"]
    assert b"application.json" in await raw_package(portal, aside)
    late = await press(portal, answer.json(), "release")
    assert late.json()["type"] == "urn:town:problem:state-conflict"


@pytest.mark.case("D-39")
async def test_a_my_number_in_the_note_is_refused(portal: Any, aside: dict[str, Any]) -> None:
    answer = await press(portal, aside, "discard", {"note": f"番号 {MY_NUMBER}"})
    assert answer.status_code == 422
    assert MY_NUMBER not in answer.text


async def test_a_decision_on_an_older_view_is_refused(portal: Any, aside: dict[str, Any]) -> None:
    stale = {**aside, "version": aside["version"] + 1}
    assert (await press(portal, stale, "release")).json()["type"] == "urn:town:problem:precondition-failed"


async def test_the_list_is_filtered_by_reason_and_goes_on_page_by_page(portal: Any, aside: dict[str, Any]) -> None:
    ids: list[str] = []
    for number in range(3):
        portal.receipt_no = f"{portal.receipt_no}-{number}"
        ids.append((await portal.put_aside(b"no zip", "archive-unsafe"))["id"])
    seen: list[str] = []
    cursor = None
    while True:
        asked = {"reason": "archive-unsafe", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await portal.api.client.get("/v1/quarantined-packages", params=asked, headers=portal.clerk())).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert set(ids) <= set(seen)
    assert aside["id"] not in seen


async def test_a_resident_sees_no_quarantined_package(portal: Any, aside: dict[str, Any]) -> None:
    path = f"/v1/quarantined-packages/{aside['id']}"
    assert (await portal.api.client.get(path, headers=portal.api.resident())).status_code == 403
    async with portal.api.service.database.begin(role="resident", principal=portal.api.resident_id) as session:
        assert (await session.execute(text("SELECT count(*) FROM quarantined_packages"))).scalar_one() == 0
        assert (await session.execute(text("SELECT count(*) FROM raw_packages"))).scalar_one() == 0
