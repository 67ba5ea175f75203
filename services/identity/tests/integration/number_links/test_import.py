"""The 番号紐付 file: one person per 宛名番号, and provisional persons who turn out to be her."""

import json
from datetime import timedelta
from typing import Any

import pytest

from town_kit.auth import Role
from town_kit.ids import new_id
from town_sandbox.jpki import DEMO_HOLDERS, Holder, VirtualCard, number_link_file


def numbered(api: Any, holder: str = "hanako") -> VirtualCard:
    """A card of somebody whose 宛名番号 nobody else in this database has."""
    given: Holder = DEMO_HOLDERS[holder].but(addressee_number=new_id().hex[-15:])
    return VirtualCard.issue(api.authority, given, now=api.clock.now() - timedelta(days=1))


async def preview(api: Any, content: bytes) -> Any:
    headers = {**api.headers(Role.STAFF, "number-links:import"), "Content-Type": "text/csv"}
    return await api.client.post("/v1/number-links", content=content, headers=headers)


async def apply(api: Any, previewed: Any) -> Any:
    headers = {**api.headers(Role.STAFF, "number-links:import"), "If-Match": previewed.headers["etag"]}
    return await api.client.post(f"/v1/number-links/{previewed.json()['id']}/apply", headers=headers)


async def imported(api: Any, *cards: VirtualCard) -> dict[str, Any]:
    answer = await apply(api, await preview(api, number_link_file(api.authority, cards)))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def events_of(api: Any, person_id: str) -> list[tuple[str, Any]]:
    rows = await api.rows("SELECT type, data FROM outbox WHERE key = :id ORDER BY sequence", id=person_id)
    return [(row.type.split(".")[3], json.loads(bytes(row.data))) for row in rows]


async def test_a_preview_changes_nothing_and_says_what_would(api: Any) -> None:
    card = numbered(api)
    (before,) = await api.rows("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM persons)")
    answer = await preview(api, number_link_file(api.authority, [card]))
    assert await api.rows("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM persons)") == [before]
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["state"], view["lines"], view["persons_registered"], view["certificates_added"]) == (
        "previewed", 2, 1, 2,
    )  # fmt: skip
    number = card.holder.addressee_number
    assert await api.rows("SELECT 1 FROM persons WHERE addressee_number = :n", n=number) == []


async def test_a_card_known_by_file_belongs_to_its_person_at_first_use(api: Any) -> None:
    card = numbered(api)
    await imported(api, card)
    signed = (await api.verify(api.sign(card))).json()["person_id"]
    logged_in = (await api.log_in(card))["person_id"]
    assert signed == logged_in
    (row,) = await api.rows("SELECT addressee_number FROM persons WHERE id = :id", id=signed)
    assert row[0] == card.holder.addressee_number


async def test_two_provisional_persons_of_one_number_become_one(api: Any) -> None:
    card = numbered(api)
    signed = (await api.verify(api.sign(card))).json()["person_id"]
    session = await api.log_in(card)
    assert signed != session["person_id"]
    view = await imported(api, card)
    assert (view["persons_named"], view["persons_linked"], view["persons_registered"]) == (1, 1, 0)
    assert await events_of(api, signed) == [
        ("registered", {"person_id": signed, "provisional": True}),
        ("registered", {"person_id": signed, "provisional": False}),
    ]
    assert (await events_of(api, session["person_id"]))[-1] == (
        "linked", {"from_person_id": session["person_id"], "to_person_id": signed},
    )  # fmt: skip
    assert (await api.log_in(card))["person_id"] == signed
    form = {"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
    token = (await api.client.post("/v1/oauth/token", data=form)).json()["access_token"]
    devices = await api.client.get("/v1/devices", headers=api.bearer(token))
    assert len(devices.json()) == 2


async def test_a_provisional_person_follows_one_registered_by_the_same_file(api: Any) -> None:
    card = numbered(api)
    provisional = (await api.log_in(card))["person_id"]
    view = await imported(api, card)
    assert (view["persons_registered"], view["persons_linked"], view["certificates_added"]) == (1, 1, 1)
    person = (await api.log_in(card))["person_id"]
    assert person == (await api.verify(api.sign(card))).json()["person_id"] != provisional
    assert (await events_of(api, person))[0] == ("registered", {"person_id": person, "provisional": False})


async def test_the_same_file_again_changes_nothing(api: Any) -> None:
    card = numbered(api)
    await imported(api, card)
    view = await imported(api, card)
    assert (view["unchanged"], view["persons_registered"], view["certificates_added"]) == (2, 0, 0)


async def test_an_import_is_applied_once(api: Any) -> None:
    previewed = await preview(api, number_link_file(api.authority, [numbered(api)]))
    assert (await apply(api, previewed)).status_code == 200
    assert (await apply(api, previewed)).json()["type"] == "urn:town:problem:state-conflict"
    (row,) = await api.rows("SELECT content_sealed FROM number_links WHERE id = :id", id=previewed.json()["id"])
    assert row[0] is None


async def test_a_certificate_of_another_registered_person_is_not_moved(api: Any) -> None:
    card = numbered(api)
    await imported(api, card)
    stolen = VirtualCard(
        card.holder.but(addressee_number="999"),
        card.sign_certificate, card.sign_key, card.auth_certificate, card.auth_key,
    )  # fmt: skip
    view = await imported(api, stolen)
    assert (view["errors"], view["listed_errors"]) == (
        2,
        [{"line": 2, "code": "other-person"}, {"line": 3, "code": "other-person"}],
    )


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [(0, "", "addressee-number"), (1, "xyz", "serial"), (2, "7", "purpose"), (3, "1999", "generation"),
     (4, "someday", "validity")],
)  # fmt: skip
async def test_a_bad_line_is_named_and_the_others_are_used(api: Any, column: int, value: str, code: str) -> None:
    lines = number_link_file(api.authority, [numbered(api)]).decode("utf-8-sig").split("\r\n")
    cells = lines[1].split(",")
    cells[column] = value
    content = "\r\n".join([lines[0], ",".join(cells), *lines[2:]]).encode("utf-8-sig")
    view = (await preview(api, content)).json()
    assert view["listed_errors"] == [{"line": 2, "code": code}]
    assert view["certificates_added"] == 1


async def test_one_certificate_under_two_numbers_is_used_for_neither(api: Any) -> None:
    card = numbered(api)
    other = VirtualCard(
        card.holder.but(addressee_number="12345"),
        card.sign_certificate, card.sign_key, card.auth_certificate, card.auth_key,
    )  # fmt: skip
    view = (await preview(api, number_link_file(api.authority, [card, other]))).json()
    assert (view["errors"], view["certificates_added"]) == (4, 0)
    assert {error["code"] for error in view["listed_errors"]} == {"two-numbers"}


@pytest.mark.parametrize("content", [b"", b"a,b\r\n1,2\r\n", b"\xff\xfe\x00", "宛名番号\r\n".encode()])
async def test_another_file_is_refused(api: Any, content: bytes) -> None:
    assert (await preview(api, content)).json()["type"] == "urn:town:problem:validation-failed"


async def test_staff_with_one_factor_cannot_import(api: Any) -> None:
    headers = {**api.headers(Role.STAFF, "number-links:import", amr=("pwd",)), "Content-Type": "text/csv"}
    answer = await api.client.post("/v1/number-links", content=b"", headers=headers)
    assert answer.json()["type"] == "urn:town:problem:insufficient-scope"
