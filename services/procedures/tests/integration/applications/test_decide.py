"""From acceptance to completion: versions, states, who decides."""

from datetime import timedelta
from typing import Any

import pytest

from town_kit.clock import FixedClock
from town_kit.ids import new_id


async def submitted(api: Any, code: str = "LC-01") -> dict[str, Any]:
    body: dict[str, Any] = {
        "procedure_code": code,
        "answers": api.sample(code),
        "parties": [{"role": "applicant", "person_id": str(api.resident_id)}],
    }
    if code == "CH-01":
        body["attachments"] = [await api.attach(api.officer(), "bank_account_proof")]
    answer = await api.client.post("/v1/applications", json=body, headers=api.officer())
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def press(api: Any, view: dict[str, Any], verb: str, body: Any = None, *, version: int | None = None) -> Any:
    headers = {**api.officer(), "If-Match": f'"{version or view["version"]}"'}
    return await api.client.post(f"/v1/applications/{view['id']}/{verb}", json=body, headers=headers)


async def test_an_application_goes_from_acceptance_to_completion(api: Any, clock: FixedClock) -> None:
    view = await submitted(api)
    for verb, body, state in (
        ("accept", None, "accepted"),
        ("decide", {"decision": "approved"}, "approved"),
        ("complete", None, "completed"),
    ):
        clock.advance(timedelta(minutes=1))
        answer = await press(api, view, verb, body)
        assert answer.status_code == 200, answer.text
        view = answer.json()
        assert view["state"] == state
    timeline = (await api.client.get(f"/v1/applications/{view['id']}/timeline", headers=api.resident())).json()
    assert [step["state"] for step in timeline] == ["submitted", "accepted", "approved", "completed"]
    assert view["state_since"] == timeline[-1]["at"] != view["received_at"]
    events = await api.rows("SELECT sequence FROM outbox WHERE key = cast(:id AS uuid) ORDER BY seq", id=view["id"])
    assert [e.sequence for e in events] == [1, 2, 3, 4]


async def test_a_move_the_table_does_not_know_is_refused(api: Any) -> None:
    view = await submitted(api)
    answer = await press(api, view, "complete")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:town:problem:state-conflict"
    assert "到達" in answer.json()["detail"]


async def test_a_change_without_if_match_is_refused(api: Any) -> None:
    view = await submitted(api)
    answer = await api.client.post(f"/v1/applications/{view['id']}/accept", headers=api.officer())
    assert answer.status_code == 428


async def test_a_change_on_an_old_version_is_refused(api: Any) -> None:
    view = await submitted(api)
    await press(api, view, "accept")
    answer = await press(api, view, "decide", {"decision": "approved"}, version=1)
    assert answer.json()["type"] == "urn:town:problem:precondition-failed"


async def test_a_replay_answers_before_the_version_is_looked_at(api: Any) -> None:
    view = await submitted(api)
    headers = {**api.officer(), "If-Match": '"1"'}
    path = f"/v1/applications/{view['id']}/accept"
    first = await api.client.post(path, headers=headers)
    again = await api.client.post(path, headers=headers)
    assert first.status_code == again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_decision_that_stands_is_not_changed_by_deciding_again(api: Any) -> None:
    view = await submitted(api)
    for verb, body in (("accept", None), ("decide", {"decision": "approved"}), ("complete", None)):
        view = (await press(api, view, verb, body)).json()
        if verb == "accept":
            continue
        for again in ({"decision": "approved"}, {"decision": "rejected", "reason_code": "not-insured"}):
            answer = await press(api, view, "decide", again)
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:town:problem:state-conflict")
            assert "すでに決定" in answer.json()["detail"]
    (row,) = await api.rows("SELECT state, decision FROM applications WHERE id = cast(:id AS uuid)", id=view["id"])
    assert tuple(row) == ("completed", "approved")


async def test_staff_cannot_decide_what_the_core_system_decides(api: Any) -> None:
    view = await submitted(api, "CH-01")
    view = (await press(api, view, "accept")).json()
    answer = await press(api, view, "decide", {"decision": "approved"})
    assert answer.json()["type"] == "urn:town:problem:decided-by-core-system"


async def test_a_rejection_names_its_reason(api: Any) -> None:
    view = await submitted(api)
    view = (await press(api, view, "accept")).json()
    assert (await press(api, view, "decide", {"decision": "rejected"})).status_code == 422
    answer = await press(api, view, "decide", {"decision": "rejected", "reason_code": "not-insured"})
    assert answer.json()["reason_code"] == "not-insured"


@pytest.mark.case("D-18")
async def test_another_resident_sees_nothing_and_the_answer_is_that_of_a_random_id(api: Any) -> None:
    view = await submitted(api)
    stranger = new_id()
    shapes = []
    for application_id in (view["id"], str(new_id())):
        for path in ("", "/timeline", "/answers"):
            answer = await api.client.get(f"/v1/applications/{application_id}{path}", headers=api.resident(stranger))
            assert answer.status_code == 404
            body = answer.json()
            body.pop("trace_id", None)
            shapes.append((path, str(body)))
        headers = {**api.resident(stranger), "If-Match": '"1"'}
        answer = await api.client.post(f"/v1/applications/{application_id}/withdraw", headers=headers)
        assert answer.status_code == 404
    assert shapes[:3] == shapes[3:]
    listed = await api.client.get("/v1/applications", headers=api.resident(stranger))
    assert listed.json() == {"items": [], "next_cursor": None}


async def test_addresses_of_a_protected_party_are_hidden(api: Any) -> None:
    body = {
        "procedure_code": "LC-01",
        "answers": api.sample("LC-01"),
        "parties": [
            {"role": "applicant", "person_id": str(api.resident_id)},
            {"role": "subject", "person_id": str(new_id()), "protected": True},
        ],
    }
    view = (await api.client.post("/v1/applications", json=body, headers=api.officer())).json()
    shown = (await api.client.get(f"/v1/applications/{view['id']}/answers", headers=api.resident())).json()
    assert shown["address_hidden"] is True
    assert shown["answers"]["insured_person"]["address"] is None
    cleared = api.officer(scopes="applications:read protected-addresses:read")
    full = (await api.client.get(f"/v1/applications/{view['id']}/answers", headers=cleared)).json()
    assert full["address_hidden"] is False
    assert full["answers"]["insured_person"]["address"]
