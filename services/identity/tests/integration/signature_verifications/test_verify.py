"""The verdict on a signature by HTTP: who signed, or the stated problem and nothing left behind."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from town_kit.auth import Role
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.samples import CONTENT, DIGESTS
from town_sandbox.jpki.signing import without_signature


async def is_refused(api: Any, cms: bytes, slug: str, card: VirtualCard, **changes: Any) -> None:
    """S0 of the acceptance list: (a) no row, (b) no event, (c) one record of the refusal, (d) the next is good."""
    rows, records = await counted(api), await refusals(api)
    answer = await api.verify(cms, **changes)
    assert await counted(api) == rows
    assert await refusals(api) == [*records, f"refused:{slug}"]
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:town:problem:{slug}"
    shown = answer.text
    assert not any(secret in shown for secret in (card.holder.name, card.holder.address, card.sign_der.hex()[:40]))
    assert (await api.verify(api.sign(api.card()))).status_code == 200


async def refusals(api: Any) -> list[str]:
    found = await api.rows("SELECT result FROM audit_records WHERE result LIKE 'refused:%' ORDER BY id")
    return [row.result for row in found]


async def counted(api: Any) -> tuple[int, int, int]:
    (row,) = await api.rows(
        "SELECT (SELECT count(*) FROM persons), (SELECT count(*) FROM certificate_serials),"
        " (SELECT count(*) FROM outbox)"
    )
    return tuple(row)


@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_a_good_signature_registers_a_provisional_person_once(api: Any, kind: str) -> None:
    card = api.card(key=kind)
    first, again = await api.verify(api.sign(card)), await api.verify(api.sign(card))
    assert first.status_code == again.status_code == 200, first.text
    view = first.json()
    assert (view["revocation"], view["attributes"]["birth"]) == ("good", "1987-05-14")
    assert view["person_id"] == again.json()["person_id"]
    assert view["serial_reference"] == again.json()["serial_reference"]
    events = await api.rows("SELECT type, sequence, data FROM outbox WHERE key = :id", id=view["person_id"])
    assert [(e.type, e.sequence) for e in events] == [("town.identity.person.registered.v1", 1)]
    assert json.loads(bytes(events[0].data)) == {"person_id": view["person_id"], "provisional": True}


async def test_twenty_first_uses_at_once_are_one_person(api: Any) -> None:
    cms = api.sign(api.card())
    answers = await asyncio.gather(*(api.verify(cms) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["person_id"] for answer in answers}) == 1


async def test_neither_digest_nor_signature_nor_serial_is_kept(api: Any) -> None:
    card = api.card()
    view = (await api.verify(api.sign(card))).json()
    (row,) = await api.rows(
        "SELECT c::text AS kept FROM certificate_serials c WHERE id = :id", id=view["serial_reference"]
    )
    assert f"{card.sign_certificate.serial_number:x}" not in row.kept
    assert str(card.sign_certificate.serial_number) not in row.kept


@pytest.mark.case("D-01")
async def test_a_foreign_authority_of_the_same_name_is_refused(api: Any) -> None:
    stranger = JpkiTestAuthority.create(generations=["2024"])
    card = VirtualCard.issue(stranger, DEMO_HOLDERS["hanako"], now=api.clock.now() - timedelta(days=1))
    await is_refused(api, api.sign(card), "jpki-untrusted", card)


@pytest.mark.case("D-02")
async def test_a_certificate_that_ran_out_a_day_before_receipt_is_refused(api: Any) -> None:
    card = api.card(lifetime=timedelta(days=2))
    received = (card.sign_certificate.not_valid_after_utc + timedelta(days=1)).isoformat()
    await is_refused(api, api.sign(card), "jpki-expired", card, received_at=received)


@pytest.mark.case("D-03")
async def test_a_revoked_certificate_is_refused(api: Any) -> None:
    card = api.card()
    api.authority.revoke(card.sign_certificate, api.clock.now() - timedelta(hours=1))
    api.publish_lists()
    await is_refused(api, api.sign(card), "jpki-revoked", card)


@pytest.mark.case("D-05")
async def test_a_signature_by_the_login_certificate_is_refused(api: Any) -> None:
    card = api.card()
    await is_refused(api, card.sign_with_auth(b"x", api.clock.now()), "jpki-wrong-purpose", card)


@pytest.mark.case("D-06")
@pytest.mark.parametrize("weak", ["RSA-1024", "SHA-1 in the certificate", "SHA-1 in the message"])
async def test_a_short_key_and_sha1_are_refused(api: Any, weak: str) -> None:
    card = api.card(**{"RSA-1024": {"key": "rsa1024"}, "SHA-1 in the certificate": {"sha1": True}}.get(weak, {}))
    cms = card.sign(CONTENT, api.clock.now(), digest="sha1") if weak == "SHA-1 in the message" else api.sign(card)
    await is_refused(api, cms, "jpki-weak-algorithm", card)


@pytest.mark.case("D-07")
async def test_a_stripped_signature_is_refused(api: Any) -> None:
    card = api.card()
    for stripped in (without_signature(api.sign(card)), b""):
        await is_refused(api, stripped, "signature-invalid", card)


@pytest.mark.case("D-10")
async def test_an_unknown_birth_date_and_substitute_characters_are_told_as_such(api: Any) -> None:
    holder = DEMO_HOLDERS["hanako"].but(birth="000000000", name="能登　〓子", name_substitutes="00010")
    card = VirtualCard.issue(api.authority, holder, now=api.clock.now() - timedelta(days=1))
    attributes = (await api.verify(api.sign(card))).json()["attributes"]
    assert (attributes["birth"], attributes["birth_known"]) == (None, False)
    assert attributes["name_substitutes"] == "00010"


@pytest.mark.case("D-04")
async def test_with_stale_lists_a_signature_waits_and_settles_with_fresh_ones(api: Any) -> None:
    card = api.card()
    api.clock.advance(timedelta(days=8))
    received = api.clock.now()
    view = (await api.verify(api.sign(card))).json()
    assert view["revocation"] == "unknown"
    check = {"serial_reference": view["serial_reference"], "received_at": received.isoformat()}
    headers = api.headers(Role.SERVICE, "serial-status-checks:create")
    waiting = await api.client.post("/v1/serial-status-checks", json=check, headers=headers)
    assert waiting.json()["revocation"] == "unknown"
    api.publish_lists()
    settled = await api.client.post("/v1/serial-status-checks", json=check, headers=headers)
    assert (settled.json()["revocation"], settled.json()["person_id"]) == ("good", view["person_id"])


async def test_each_verdict_and_each_refusal_leaves_one_audit_record(api: Any) -> None:
    service_id = "9f6d6f7e-0000-4000-8000-00000000000a"
    headers = api.headers(Role.SERVICE, "signature-verifications:create", subject=service_id)
    card = api.card()
    for cms in (api.sign(card), b""):
        body = {
            "digests": {"sha256": "0" * 64},
            "cms": base64.b64encode(cms).decode(),
            "received_at": api.clock.now().isoformat(),
        }
        if cms:
            body["digests"] = {"sha256": DIGESTS["sha256"].hex()}
        await api.client.post("/v1/signature-verifications", json=body, headers=headers)
    results = await api.rows(
        "SELECT result, cardinality(subjects) AS n FROM audit_records WHERE principal = :id ORDER BY id", id=service_id
    )
    assert [(r.result, r.n) for r in results] == [("done", 1), ("refused:signature-invalid", 0)]


@pytest.mark.parametrize("role", [Role.RESIDENT, Role.STAFF, Role.VENDOR])
async def test_only_services_may_ask(api: Any, role: Role) -> None:
    headers = api.headers(role, "signature-verifications:create")
    answer = await api.client.post("/v1/signature-verifications", json={}, headers=headers)
    assert answer.json()["type"] == "urn:town:problem:insufficient-scope"
