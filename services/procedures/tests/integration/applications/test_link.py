"""番号紐付: what names a provisional person names the other, filed before the link, after it, or at the same time."""

import asyncio
import base64
import json
from typing import Any
from uuid import UUID

from sqlalchemy import text

from town_kit.auth import Principal, Role
from town_kit.ids import new_id
from town_procedures.applications import linking, submit
from town_procedures.applications.prepare import Filing, prepare

CARE, ALLOWANCE = "LC-01", "CH-01"
PATIENCE = 2.0
"""Seconds in which what need not wait would long have ended."""


async def file(api: Any, person: UUID) -> Any:
    """A care application by login; the answer."""
    body = {"procedure_code": CARE, "answers": api.sample(CARE)}
    answer = await api.client.post("/v1/applications", json=body, headers=api.resident(person))
    assert answer.status_code == 201, answer.text
    return answer


async def parts(api: Any, application_id: object) -> list[tuple[str, str | None]]:
    """Role and person of each party, which rows and application must tell alike."""
    (row,) = await api.rows("SELECT * FROM applications WHERE id = cast(:id AS uuid)", id=str(application_id))
    rows = await api.rows("SELECT * FROM application_parties WHERE application_id = :id", id=row.id)
    told = [(p["role"], p["person_id"]) for p in row.party_refs]
    assert sorted((p.role, str(p.person_id)) for p in rows) == sorted((role, str(person)) for role, person in told)
    return told


async def seen_by(api: Any, person: UUID) -> list[str]:
    answer = await api.client.get("/v1/applications", headers=api.resident(person))
    return [item["id"] for item in answer.json()["items"]]


async def test_what_was_filed_before_the_link_moves_to_the_other_person(api: Any) -> None:
    provisional, known = new_id(), new_id()
    made = (await file(api, provisional)).json()["id"]
    await api.link(provisional, known)
    assert {person for _, person in await parts(api, made)} == {str(known), None}
    assert (await seen_by(api, known), await seen_by(api, provisional)) == ([made], [])
    await api.link(provisional, known)  # told again by a republication
    assert await seen_by(api, known) == [made]


async def test_what_is_filed_after_the_link_by_an_older_token_is_the_other_persons(api: Any) -> None:
    provisional, known = new_id(), new_id()
    await api.link(provisional, known)
    made = (await file(api, provisional)).json()["id"]
    assert await seen_by(api, known) == [made]
    (event,) = await api.rows("SELECT data FROM outbox WHERE key = cast(:id AS uuid)", id=made)
    assert str(provisional) not in bytes(event.data).decode()
    assert {p["person_id"] for p in json.loads(bytes(event.data))["parties"]} == {str(known), None}


async def test_links_in_a_row_lead_to_the_last_person_in_either_order(api: Any) -> None:
    for backwards in (False, True):
        first, second, third = new_id(), new_id(), new_id()
        links = [(first, second), (second, third)]
        for old, new in links[::-1] if backwards else links:
            await api.link(old, new)
        made = (await file(api, first)).json()["id"]
        assert await seen_by(api, third) == [made]


async def test_she_who_signed_and_she_who_is_logged_in_become_one_party(api: Any, authority: Any) -> None:
    answers, card = api.sample(ALLOWANCE), authority.card()
    attached = await api.attach(api.resident(), "bank_account_proof")
    content = submit.signed_content(ALLOWANCE, answers, [attached["sha256"]])
    signature = base64.b64encode(card.sign(content, api.clock.now())).decode()
    body = {"procedure_code": ALLOWANCE, "answers": answers, "attachments": [attached], "signature": signature}
    made = (await api.client.post("/v1/applications", json=body, headers=api.resident())).json()["id"]
    signer = (await api.rows("SELECT signature FROM applications WHERE id = :id", id=UUID(made)))[0][0]["person_id"]
    before = await parts(api, made)
    assert [person for role, person in before if role == "applicant"] == [str(api.resident_id), signer]
    await api.link(UUID(signer), api.resident_id)
    after = await parts(api, made)
    assert [person for role, person in after if role == "applicant"] == [str(api.resident_id)]
    assert len(after) == len(before) - 1
    (row,) = await api.rows("SELECT signature, version FROM applications WHERE id = :id", id=UUID(made))
    assert (row.signature["person_id"], row.version) == (str(api.resident_id), 1)


async def test_a_mark_of_protection_stays_with_the_party_it_becomes(api: Any) -> None:
    provisional, known = new_id(), new_id()
    named = [("applicant", known, False), ("applicant", provisional, True), ("subject", provisional, False)]
    parties = [{"role": r, "person_id": str(p), "protected": mark} for r, p, mark in named]
    body = {"procedure_code": CARE, "answers": api.sample(CARE), "parties": parties}
    made = (await api.client.post("/v1/applications", json=body, headers=api.officer())).json()["id"]
    await api.link(provisional, known)
    rows = await api.rows("SELECT role, protected FROM application_parties WHERE application_id = :id", id=UUID(made))
    assert sorted(map(tuple, rows)) == [("applicant", True), ("subject", False)]


async def test_a_verdict_that_names_the_provisional_person_is_read_as_the_other(portal: Any, authority: Any) -> None:
    card, known = authority.card(), new_id()
    await portal.received(portal.package(card))
    (row,) = await portal.applications()
    await portal.api.link(UUID(row.signature["person_id"]), known)
    changed = portal.api.sample(ALLOWANCE) | {"claim_date": "2026-10-06"}
    assert (await portal.received(portal.package(card, answers=changed)))["outcome"] == "received"
    (row,) = await portal.applications()
    assert (row.revision, row.signature["person_id"]) == (2, str(known))
    assert ("applicant", str(known)) in await parts(portal.api, row.id)
    portal.receipt_no = f"R-{new_id().hex[:20]}"
    await portal.received(portal.package(card))
    (row,) = await portal.applications()
    assert ("applicant", str(known)) in await parts(portal.api, row.id)


async def test_a_link_told_while_an_application_is_recorded_waits_for_it_and_finds_it(api: Any) -> None:
    provisional, known = new_id(), new_id()
    ports, now = api.service.extras["ports"], api.clock.now()
    actor = Principal(id=provisional, role=Role.RESIDENT, client_id="test", scopes=frozenset())
    filing = Filing(CARE, api.sample(CARE), {}, None, None, [], None)
    submission = await prepare(filing, actor, ports, now)
    async with api.service.database.begin(role="resident", principal=provisional) as session:
        made = await submit.record(session, submission, now=now, calendar=ports.calendar)
        link = asyncio.create_task(api.link(provisional, known))
        assert (await asyncio.wait({link}, timeout=PATIENCE))[0] == set()
    await link
    assert await seen_by(api, known) == [str(made.id)]


async def test_an_application_filed_while_a_link_is_written_waits_for_it_and_follows_it(api: Any) -> None:
    provisional, known = new_id(), new_id()
    async with api.service.database.begin() as session:
        await linking.repoint(session, provisional, known)
        filing = asyncio.create_task(file(api, provisional))
        assert (await asyncio.wait({filing}, timeout=PATIENCE))[0] == set()
    made = (await filing).json()["id"]
    assert await seen_by(api, known) == [made]


async def test_a_resident_reads_no_link_and_stays_a_resident(api: Any) -> None:
    provisional, known = new_id(), new_id()
    await api.link(provisional, known)
    async with api.service.database.begin(role="resident", principal=provisional) as session:
        found = await session.execute(
            text("SELECT to_person_id FROM town_person_links(cast(:ids AS uuid[]))"), {"ids": [provisional]}
        )
        assert list(found.scalars()) == [known]
        assert (await session.execute(text("SELECT town_role()"))).scalar_one() == "resident"
        assert (await session.execute(text("SELECT count(*) FROM person_links"))).scalar_one() == 0
