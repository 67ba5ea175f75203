"""Submitting an application by the app's door: what is refused leaves nothing, what is taken is taken once."""

import asyncio
import base64
import json
from functools import partial
from typing import Any

import pytest

from town_kit.auth import Role
from town_kit.ids import is_reference, new_id
from town_procedures.applications import submit

CARE, ALLOWANCE = "LC-01", "CH-01"


def care(api: Any, **changes: Any) -> dict[str, Any]:
    """A care-need application as a daughter files it for her mother, by login."""
    return {"procedure_code": CARE, "answers": api.sample(CARE)} | changes


async def allowance(api: Any, card: Any, **changes: Any) -> dict[str, Any]:
    """A child-allowance claim with its file, signed by the card."""
    answers = api.sample(ALLOWANCE)
    file = await api.attach(api.resident(), "bank_account_proof")
    content = submit.signed_content(ALLOWANCE, answers, [file["sha256"]])
    signature = base64.b64encode(card.sign(content, api.clock.now())).decode()
    return {"procedure_code": ALLOWANCE, "answers": answers, "attachments": [file], "signature": signature} | changes


def sending(api: Any, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    """The request as S0 sends it."""
    return lambda: api.client.post("/v1/applications", json=body, headers=headers or api.resident())


async def refused_and_nothing_left(api: Any, send: Any, status: int, slug: str) -> Any:
    """S0 at this door."""
    then = sending(api, care(api))
    return await api.refuses(send, status, slug, action="application.submit", then=then)


async def mine(api: Any) -> list[Any]:
    return list(await api.rows("SELECT * FROM applications WHERE filed_by = :me", me=api.resident_id))


async def told(api: Any, application_id: object) -> int:
    rows = await api.rows("SELECT count(*) FROM outbox WHERE key = cast(:id AS uuid)", id=str(application_id))
    return int(rows[0][0])


async def test_an_application_gets_a_speakable_reference_and_stands_as_submitted(api: Any) -> None:
    answer = await api.client.post("/v1/applications", json=care(api), headers=api.resident())
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert view["state"] == "submitted"
    assert view["state_label"] == "到達"
    assert is_reference(view["reference"])
    assert answer.headers["etag"] == '"1"'
    (event,) = await api.rows("SELECT type, sequence, data FROM outbox WHERE key = cast(:id AS uuid)", id=view["id"])
    assert (event.type, event.sequence) == ("town.procedures.application.submitted.v1", 1)
    assert json.loads(event.data)["parties"][0]["person_id"] == str(api.resident_id)


async def test_the_standard_processing_period_is_counted_in_working_days(api: Any) -> None:
    answer = await api.client.post("/v1/applications", json=care(api), headers=api.resident())
    assert answer.json()["expected_on"] == "2027-02-09"  # 20 working days, four week-ends after 2027-01-12


async def test_a_my_number_is_encrypted_before_it_is_stored(api: Any, authority: Any) -> None:
    body = await allowance(api, authority.card())
    answer = await api.client.post("/v1/applications", json=body, headers=api.resident())
    assert answer.status_code == 201, answer.text
    (row,) = await api.rows(
        "SELECT answers::text, my_numbers FROM applications WHERE id = cast(:id AS uuid)", id=answer.json()["id"]
    )
    assert "123456789018" not in row[0]
    assert all(number["jwe"].count(".") == 4 for number in row[1])


@pytest.mark.case("D-07")
async def test_an_application_without_its_signature_is_refused(api: Any, authority: Any) -> None:
    body = await allowance(api, authority.card(), signature=None)
    await refused_and_nothing_left(api, sending(api, body), 422, "signature-invalid")


@pytest.mark.case("D-07")
async def test_changed_answers_under_an_old_signature_are_refused(api: Any, authority: Any) -> None:
    body = await allowance(api, authority.card())
    body["answers"] = {**body["answers"], "claim_date": "2026-10-02"}
    await refused_and_nothing_left(api, sending(api, body), 422, "signature-invalid")


@pytest.mark.case("D-17")
@pytest.mark.parametrize("extra", [{"status": "approved"}, {"fee": 0}, {"person_ref": str(new_id())}])
async def test_a_field_the_caller_may_not_set_is_refused(api: Any, extra: dict[str, Any]) -> None:
    await refused_and_nothing_left(api, sending(api, care(api, **extra)), 422, "validation-failed")


@pytest.mark.case("D-17")
async def test_a_resident_cannot_name_other_parties(api: Any) -> None:
    body = care(api, parties=[{"role": "applicant", "person_id": str(new_id())}])
    await refused_and_nothing_left(api, sending(api, body), 422, "validation-failed")


async def test_the_event_names_the_app_a_resident_filed_through_and_none_for_the_counter(api: Any) -> None:
    mine = dict(api.issuer.headers(Role.RESIDENT, "applications:submit", client_id="partner-app"))
    by_app = await api.client.post("/v1/applications", json=care(api), headers=mine)
    at_counter = care(api, parties=[{"role": "applicant", "person_id": str(new_id())}], channel="counter")
    by_clerk = await api.client.post("/v1/applications", json=at_counter, headers=api.officer())
    for answer, client in ((by_app, "partner-app"), (by_clerk, None)):
        assert answer.status_code == 201, answer.text
        told = await api.rows("SELECT data FROM outbox WHERE key = :key", key=answer.json()["id"])
        assert [json.loads(bytes(row.data))["client_id"] for row in told] == [client]


@pytest.mark.case("D-39")
async def test_a_my_number_in_a_free_text_field_is_refused_and_not_repeated(api: Any) -> None:
    body = care(api)
    body["answers"] = {**body["answers"], "remarks": "番号は 123456789018 です"}
    answer = await refused_and_nothing_left(api, sending(api, body), 422, "validation-failed")
    assert "123456789018" not in answer.text


@pytest.mark.case("D-39")
@pytest.mark.parametrize(
    "query",
    [
        "state=123456789018",
        "state=submitted&note=%E7%95%AA%E5%8F%B7%201234-5678-9018",
        "state=%EF%BC%91%EF%BC%92%EF%BC%93456789018",
        "123456789018=x",
        "cursor=123456789018",
    ],
)
async def test_a_my_number_in_a_query_is_refused_and_not_repeated(api: Any, query: str, capfd: Any) -> None:
    capfd.readouterr()
    for method, path in (("GET", "/v1/applications"), ("POST", f"/v1/applications/{new_id()}/withdraw")):
        if method == "POST" and query.startswith("cursor"):
            continue  # a list's place is a list's
        answer = await api.client.request(
            method, f"{path}?{query}", headers={**api.resident(), "If-Match": '"1"', "Idempotency-Key": str(new_id())}
        )
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:town:problem:validation-failed"), answer.text
        assert not [digits for digits in ("123456789018", "1234-5678-9018", "１２３") if digits in answer.text]
        audited = await api.rows("SELECT result FROM audit_records WHERE principal = :me", me=api.resident_id)
        assert {row.result for row in audited} == {"refused:validation-failed"}
    assert "123456789018" not in "".join(capfd.readouterr())


@pytest.mark.case("D-28")
@pytest.mark.parametrize("procedure", [CARE, ALLOWANCE])
async def test_the_same_request_three_times_is_one_application(api: Any, authority: Any, procedure: str) -> None:
    """With a file too: the second time it is used, and the answer is still that of the first time."""
    headers = api.resident()
    body = care(api) if procedure == CARE else await allowance(api, authority.card())
    answers = [await api.client.post("/v1/applications", json=body, headers=headers) for _ in range(3)]
    assert [a.status_code for a in answers] == [201] * 3
    assert {a.content for a in answers} == {answers[0].content}
    assert [a.headers.get("idempotency-replayed") for a in answers] == [None, "true", "true"]
    assert [a.headers["etag"] for a in answers] == ['"1"'] * 3
    (row,) = await mine(api)
    assert await told(api, row.id) == 1


async def test_a_repeated_request_is_not_judged_again(api: Any, authority: Any) -> None:
    """The first answer is known, so nobody asks identity, which may be away by then."""
    headers, body = api.resident(), await allowance(api, authority.card())
    first = await api.client.post("/v1/applications", json=body, headers=headers)
    api.signatures.away = True
    again = await api.client.post("/v1/applications", json=body, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.case("D-29")
@pytest.mark.parametrize("procedure", [CARE, ALLOWANCE])
async def test_the_same_key_with_other_content_is_refused(api: Any, authority: Any, procedure: str) -> None:
    headers = api.resident()
    body = care(api) if procedure == CARE else await allowance(api, authority.card())
    assert (await api.client.post("/v1/applications", json=body, headers=headers)).status_code == 201
    (before,) = await mine(api)
    date = "application_date" if procedure == CARE else "claim_date"
    changed = {**body, "answers": {**body["answers"], date: "2026-10-06"}}
    await refused_and_nothing_left(api, sending(api, changed, headers), 422, "idempotency-mismatch")
    assert before in await mine(api)


@pytest.mark.case("D-30")
@pytest.mark.parametrize("procedure", [CARE, ALLOWANCE])
async def test_fifty_requests_at_once_with_one_key_are_one_application(
    api: Any, authority: Any, procedure: str
) -> None:
    headers = api.resident()
    body = care(api) if procedure == CARE else await allowance(api, authority.card())
    answers = await asyncio.gather(
        *(api.client.post("/v1/applications", json=body, headers=headers) for _ in range(50))
    )
    made = [a for a in answers if a.status_code == 201 and "idempotency-replayed" not in a.headers]
    replayed = [a for a in answers if a.headers.get("idempotency-replayed") == "true"]
    waiting = [a for a in answers if a.status_code == 409]
    assert len(made) == 1
    assert {(a.status_code, a.content) for a in replayed} <= {(201, made[0].content)}
    assert {a.json()["type"] for a in waiting} <= {"urn:town:problem:in-progress"}
    assert len(made) + len(replayed) + len(waiting) == 50
    (row,) = await mine(api)
    assert await told(api, row.id) == 1


async def test_two_applications_at_once_cannot_hold_one_file(api: Any, authority: Any) -> None:
    body = await allowance(api, authority.card())
    answers = await asyncio.gather(
        *(api.client.post("/v1/applications", json=body, headers=api.resident()) for _ in range(8))
    )
    assert sorted(a.status_code for a in answers) == [201] + [422] * 7
    assert {a.json()["type"] for a in answers if a.status_code == 422} == {"urn:town:problem:validation-failed"}
    assert {a.json()["errors"][0]["pointer"] for a in answers if a.status_code == 422} == {"/attachments/0"}
    (row,) = await mine(api)
    assert await told(api, row.id) == 1


async def test_a_duplicate_member_is_refused(api: Any) -> None:
    raw = b'{"procedure_code": "LC-01", "procedure_code": "CH-01", "answers": {}}'
    headers = {**api.resident(), "Content-Type": "application/json"}
    raw_request = partial(api.client.post, "/v1/applications", content=raw, headers=headers)
    await refused_and_nothing_left(api, raw_request, 400, "duplicate-member")


async def test_an_unknown_procedure_is_refused(api: Any) -> None:
    await refused_and_nothing_left(api, sending(api, care(api, procedure_code="XX-99")), 422, "procedure-unknown")
