"""What staff take in (窓口・紙・電話・訪問): judged by the day of the stamp, and only by ways the procedure lists."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from town_kit.clock import japan_date
from town_procedures.catalogue import Procedure

CARE, ALLOWANCE = "LC-01", "CH-01"


async def filed(api: Any, code: str, channel: str | None, stamped: datetime | None = None, **answers: Any) -> Any:
    """The request of a clerk who types in what came."""
    body: dict[str, Any] = {
        "procedure_code": code,
        "answers": api.sample(code) | answers,
        "parties": [{"role": "applicant", "person_id": str(api.resident_id)}],
    }
    if channel is not None:
        body["channel"] = channel
    if stamped is not None:
        body["received_at"] = stamped.isoformat()

    if code == ALLOWANCE:
        body["attachments"] = [await api.attach(api.officer(), "bank_account_proof")]
    return partial(api.client.post, "/v1/applications", json=body, headers=api.officer())


async def refused(api: Any, send: Any, pointer: str, code: str) -> None:
    then = await filed(api, CARE, "paper")
    answer = await api.refuses(send, 422, "validation-failed", action="application.submit", then=then)
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


def catalogue(api: Any) -> dict[str, Procedure]:
    found: dict[str, Procedure] = api.service.extras["ports"].catalogue
    return found


@pytest.mark.parametrize("channel", ["paper", "phone", "visit"])
async def test_what_was_stamped_in_time_is_in_time_however_late_it_is_typed_in(api: Any, channel: str) -> None:
    """Renewal may be asked for from 60 days before the end of the term: 45 days later the same paper would be late."""
    stamped = api.clock.now()
    ends = japan_date(stamped) + timedelta(days=10)
    term = {"valid_from": "2026-02-01", "valid_to": ends.isoformat(), "care_level": "11"}
    api.clock.advance(timedelta(days=45))
    renewal = {"application_kind": "2", "previous_certification": term}
    answer = await (await filed(api, CARE, channel, stamped, **renewal))()
    assert answer.status_code == 201, answer.text
    assert (answer.json()["channel"], datetime.fromisoformat(answer.json()["received_at"])) == (channel, stamped)
    (event,) = await api.rows("SELECT data FROM outbox WHERE key = cast(:id AS uuid)", id=answer.json()["id"])
    assert datetime.fromisoformat(json.loads(bytes(event.data))["received_at"]) == stamped
    send = await filed(api, CARE, channel, None, **renewal)
    await refused(api, send, "/answers/previous_certification/valid_to", "date-range")


@pytest.mark.parametrize("channel", ["paper", "phone", "visit"])
async def test_a_day_after_the_stamp_is_in_the_future(api: Any, channel: str) -> None:
    stamped = api.clock.now()
    api.clock.advance(timedelta(days=7))
    later = (japan_date(stamped) + timedelta(days=1)).isoformat()
    send = await filed(api, CARE, channel, stamped, application_date=later)
    await refused(api, send, "/answers/application_date", "future-date")


@pytest.mark.parametrize("channel", ["paper", "phone", "visit"])
async def test_a_stamp_of_tomorrow_is_refused(api: Any, channel: str) -> None:
    send = await filed(api, CARE, channel, api.clock.now() + timedelta(minutes=1))
    await refused(api, send, "/received_at", "future")


@pytest.mark.parametrize("channel", ["mynaportal", "app"])
async def test_staff_cannot_say_that_it_came_by_another_door(api: Any, channel: str) -> None:
    await refused(api, await filed(api, CARE, channel), "/channel", "channel")


async def test_a_way_the_procedure_does_not_list_is_refused(api: Any) -> None:
    await refused(api, await filed(api, ALLOWANCE, "phone"), "/channel", "channel")
    for channel in ("paper", "visit", "counter", None):
        answer = await (await filed(api, ALLOWANCE, channel))()
        assert (answer.status_code, answer.json()["channel"]) == (201, channel or "counter")


async def test_the_app_takes_only_procedures_that_list_it(api: Any) -> None:
    care = catalogue(api)[CARE]
    body = {"procedure_code": CARE, "answers": api.sample(CARE)}

    async def by_app() -> Any:
        return await api.client.post("/v1/applications", json=body, headers=api.resident())

    catalogue(api)[CARE] = replace(care, channels=("counter", "paper"))
    then = await filed(api, CARE, "counter")
    await api.refuses(by_app, 422, "procedure-unknown", action="application.submit", then=then)
    catalogue(api)[CARE] = care
    assert (await by_app()).status_code == 201


async def test_a_resident_cannot_choose_the_way(api: Any) -> None:
    body = {"procedure_code": CARE, "answers": api.sample(CARE), "channel": "paper"}

    async def send() -> Any:
        return await api.client.post("/v1/applications", json=body, headers=api.resident())

    await refused(api, send, "/channel", "staff-only")


@pytest.mark.parametrize(
    ("changes", "code"), [({"types": ("image/png",)}, "media-type"), ({"max_bytes": 50}, "too-large")]
)
async def test_a_file_is_held_to_the_rule_of_its_kind(api: Any, changes: dict[str, Any], code: str) -> None:
    care = catalogue(api)[CARE]
    rules = [r.model_copy(update=changes) if r.kind == "insured_card" else r for r in care.attachments]
    catalogue(api)[CARE] = replace(care, attachments=tuple(rules))
    file = await api.attach(api.resident(), "insured_card")
    body = {"procedure_code": CARE, "answers": api.sample(CARE), "attachments": [file]}

    async def send() -> Any:
        return await api.client.post("/v1/applications", json=body, headers=api.resident())

    await refused(api, send, "/attachments/0", code)
    catalogue(api)[CARE] = care
    assert (await send()).status_code == 201  # what was refused did not use the file up


async def test_what_a_folder_declares_is_shown_to_whoever_applies(api: Any) -> None:
    shown = (await api.client.get(f"/v1/procedures/{ALLOWANCE}")).json()
    assert shown["fee"] == {"amount_yen": 0, "basis": "手数料の定めなし"}
    assert shown["channels"] == ["mynaportal", "app", "counter", "paper", "visit"]
    assert (shown["retention_years"], shown["legal_basis"][0]) == (5, "児童手当法 第7条")
    (proof,) = [rule for rule in shown["attachments"] if rule["kind"] == "bank_account_proof"]
    assert proof["types"] == ["application/pdf", "image/jpeg", "image/png"]
    assert (proof["max_bytes"], proof["max_count"], proof["my_number_may_show"]) == (10485760, 2, False)
    assert (proof["required"], proof["required_on_condition"]) == (False, True)


async def test_the_standard_processing_period_begins_with_the_stamp(api: Any) -> None:
    stamped = api.clock.now()
    api.clock.advance(timedelta(days=45))
    answer = await (await filed(api, CARE, "paper", stamped))()
    assert date.fromisoformat(answer.json()["expected_on"]) == date(2027, 2, 9)
    assert UUID(answer.json()["id"])
