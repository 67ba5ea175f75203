"""An accepted application becomes a standard record, which the core system pulls, acknowledges and decides."""

import asyncio
import copy
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from town_kit.ids import new_id
from town_standardization.hand_overs import fetch_batch

RECORDS = "/v1/data-linkage/027/records"


def other_people(answers: dict[str, Any]) -> dict[str, Any]:
    """The same application by a family without numbers, so that tests do not share addressees."""
    changed = copy.deepcopy(answers)
    for person in (changed["claimant"], changed["spouse"], *changed["children"]):
        person.pop("my_number", None)
    return changed


async def record_id(world: Any, application_id: UUID) -> UUID:
    [row] = await world.rows("SELECT id FROM records WHERE application_id = :id", id=application_id)
    return UUID(str(row.id))


async def test_a_claim_of_child_allowance_is_pulled_with_its_amount(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    pulled = await world.pulled("027", application_id)
    assert pulled["history_number"] == 1
    record = pulled["record"]
    assert record["teate_getsugaku"] == 25_000
    assert record["shikyu_kaishi_nengetsu"] == "2026-10"
    assert record["seikyusha_shimei"] == "能登　花子"
    assert len({record["seikyusha_atenabango"], *(c["atenabango"] for c in record["jido"])}) == 3
    [(kind, event)] = await world.events(await record_id(world, application_id))
    assert kind == "town.standardization.record.prepared.v1"
    assert event["application_id"] == str(application_id)


async def test_an_application_for_care_goes_the_same_way(world: Any) -> None:
    application_id = await world.accepted("LC-01")
    await world.settle()
    record = (await world.pulled("023", application_id))["record"]
    assert record["hihokensha_bango"] == "0000012345"
    assert record["kettei_kigen"] == "2026-11-04"


async def test_a_record_is_the_same_however_often_it_is_pulled(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    assert await world.pulled("027", application_id) == await world.pulled("027", application_id)


async def test_pages_pass_nothing_over_and_repeat_nothing(world: Any) -> None:
    for _ in range(3):
        await world.accepted("CH-01")
    await asyncio.gather(fetch_batch(world.ports), fetch_batch(world.ports))
    await world.settle()
    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await world.client.get(RECORDS, params=query, headers=world.vendor())).json()
        if not page["records"]:
            break
        seen += [(one["key"], one["history_number"]) for one in page["records"]]
        cursor = page["next_cursor"]
    [count] = await world.rows("SELECT count(*) AS n FROM records WHERE business_id = '027' AND NOT withheld")
    assert len(seen) == len(set(seen)) == count.n
    again = (await world.client.get(RECORDS, params={"cursor": cursor}, headers=world.vendor())).json()
    assert again == {"records": [], "next_cursor": cursor}


@pytest.mark.case("D-19")
async def test_a_core_system_sees_its_own_business_alone(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()
    refused = await world.client.get(RECORDS, headers=world.vendor("023"))
    assert refused.status_code == 403
    page = await world.client.get("/v1/data-linkage/023/records", headers=world.vendor("023"))
    assert not [one for one in page.json()["records"] if "teate_getsugaku" in one["record"]]


async def test_row_security_hides_records_from_a_transaction_without_a_business(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()

    for role in ("resident", "vendor"):
        async with world.service.database.begin(role=role, principal=new_id()) as session:
            assert (await session.execute(text("SELECT count(*) FROM records"))).scalar_one() == 0


async def test_an_acknowledgement_is_noted_once_and_told(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    pulled = await world.pulled("027", application_id)
    body = {"acknowledgements": [{"key": pulled["key"], "history_number": pulled["history_number"]}]}
    path = "/v1/data-linkage/027/acknowledgements"
    answers = [(await world.client.post(path, json=body, headers=world.vendor())).json() for _ in range(2)]
    assert answers == [{"noted": 1}, {"noted": 0}]
    kinds = [kind for kind, _ in await world.events(await record_id(world, application_id))]
    assert kinds == ["town.standardization.record.prepared.v1", "town.standardization.record.acknowledged.v1"]


async def test_an_unknown_record_is_acknowledged_by_nobody(world: Any) -> None:
    body = {"acknowledgements": [{"key": "gibt-es-nicht", "history_number": 1}]}
    answer = await world.client.post("/v1/data-linkage/027/acknowledgements", json=body, headers=world.vendor())
    assert answer.status_code == 404
    assert "gibt-es-nicht" not in answer.text


def result(pulled: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "result_id": f"027-{pulled['key']}-{pulled['history_number']}",
        "key": pulled["key"],
        "history_number": pulled["history_number"],
        "decision": "approved",
        "decided_on": "2026-10-09",
        "amount_yen": 25_000,
        "valid_from": "2026-10-01",
        **changes,
    }


async def test_a_decision_comes_back_once_and_is_told_with_facts_alone(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    pulled = await world.pulled("027", application_id)
    path = "/v1/data-linkage/027/results"
    for _ in range(2):  # once more under another idempotency key
        answer = await world.client.post(path, json=result(pulled), headers=world.vendor())
        assert answer.status_code == 200, answer.text
    events = await world.events(await record_id(world, application_id))
    decided = [event for kind, event in events if kind.endswith("record.decided.v1")]
    assert [(e["application_id"], e["result"], e["reason_code"], e["decided_on"]) for e in decided] == [
        (str(application_id), "approved", None, "2026-10-09")
    ]
    assert "能登" not in json.dumps(events, ensure_ascii=False)


async def test_another_decision_on_a_decided_record_is_refused(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    pulled = await world.pulled("027", application_id)
    path = "/v1/data-linkage/027/results"
    await world.client.post(path, json=result(pulled), headers=world.vendor())
    other = result(pulled, decision="rejected", reason_code="requirements_not_met", amount_yen=None, valid_from=None)
    answer = await world.client.post(path, json=other, headers=world.vendor())
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:town:problem:decided-otherwise")


@pytest.mark.parametrize(
    "changes",
    [{"decision": "rejected"}, {"reason_code": "requirements_not_met"}, {"valid_to": "2026-09-01"}, {"amount_yen": -1}],
)
async def test_a_result_that_contradicts_itself_is_refused(world: Any, changes: dict[str, Any]) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    body = result(await world.pulled("027", application_id), **changes)
    answer = await world.client.post("/v1/data-linkage/027/results", json=body, headers=world.vendor())
    assert answer.status_code == 422
    [row] = await world.rows("SELECT decision FROM records WHERE application_id = :id", id=application_id)
    assert row.decision is None


async def test_a_core_system_does_not_decide_what_staff_decide(world: Any) -> None:
    application_id = await world.accepted("LC-01")
    await world.settle()
    body = result(await world.pulled("023", application_id), amount_yen=None)
    answer = await world.client.post("/v1/data-linkage/023/results", json=body, headers=world.vendor("023"))
    assert answer.json()["type"] == "urn:town:problem:decided-by-staff"


async def test_reading_alone_gives_no_right_to_decide(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    body = result(await world.pulled("027", application_id))
    reader = world.vendor(scopes="027:child_allowance_applications:Read")
    answer = await world.client.post("/v1/data-linkage/027/results", json=body, headers=reader)
    assert answer.status_code == 403


async def test_every_pull_names_the_persons_in_the_audit(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    await world.pulled("027", application_id)
    [row] = await world.rows("SELECT subjects FROM records WHERE application_id = :id", id=application_id)
    audits = await world.rows("SELECT subjects FROM audit_records WHERE action = 'record.pull' ORDER BY at DESC")
    assert any(set(row.subjects) <= set(audit.subjects) for audit in audits)


async def test_no_my_number_stands_anywhere_but_sealed(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    await world.pulled("027", application_id)
    numbers = world.numbers_in("CH-01")
    assert len(numbers) == 4
    for table in (
        "records",
        "addressees",
        "addressee_histories",
        "my_numbers",
        "hand_overs",
        "audit_records",
        "idempotency_keys",
    ):
        rows = await world.rows(f"SELECT t::text AS line FROM {table} t")
        assert not [n for n in numbers for row in rows if n in row.line], table
    rows = await world.rows("SELECT convert_from(data, 'UTF8') AS line FROM outbox")
    assert not [n for n in numbers for row in rows if n in row.line]
    pages = await world.client.get(RECORDS, headers=world.vendor())
    assert not [n for n in numbers if n in pages.text]
