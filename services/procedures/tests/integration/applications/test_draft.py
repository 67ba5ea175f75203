"""起案 → 決裁: where the folder asks for two people, one drafts and another decides."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from town_kit.ids import new_id
from town_procedures.catalogue import load_folder
from town_procedures.wiring import SHIPPED

APPROVED = {"decision": "approved"}
REJECTED = {"decision": "rejected", "reason_code": "not-insured"}


@pytest.fixture
async def accepted(api: Any, tmp_path: Path) -> dict[str, Any]:
    """An accepted application of a folder that says ``two_person_decision: true``."""
    folder = Path(shutil.copytree(SHIPPED / "care_need_certification", tmp_path / "two_people"))
    head = folder / "procedure.yaml"
    said = head.read_text("utf-8")
    assert "two_person_decision: false" in said
    head.write_text(said.replace("two_person_decision: false", "two_person_decision: true"), "utf-8")
    api.service.extras["ports"].catalogue["LC-01"] = load_folder(folder)
    body = {"procedure_code": "LC-01", "answers": api.sample("LC-01")}
    view = (await api.client.post("/v1/applications", json=body, headers=api.resident())).json()
    answer = await press(api, view, "accept", None, api.officer_id)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def press(api: Any, view: dict[str, Any], verb: str, body: Any, officer: Any) -> Any:
    headers = {**api.officer(officer), "If-Match": f'"{view["version"]}"'}
    return await api.client.post(f"/v1/applications/{view['id']}/{verb}", json=body, headers=headers)


async def events(api: Any, view: dict[str, Any]) -> list[str]:
    rows = await api.rows("SELECT type FROM outbox WHERE key = cast(:id AS uuid) ORDER BY seq", id=view["id"])
    return [row.type.split(".")[-2] for row in rows]


async def test_without_a_draft_nobody_decides(api: Any, accepted: dict[str, Any]) -> None:
    for body in (APPROVED, REJECTED):
        answer = await press(api, accepted, "decide", body, api.officer_id)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:town:problem:draft-missing")
        assert "起案" in answer.json()["detail"]
    assert await events(api, accepted) == ["submitted", "accepted"]
    query = "SELECT result FROM audit_records WHERE action = 'application.decide' AND principal = :me"
    assert {row[0] for row in await api.rows(query, me=api.officer_id)} == {"refused:draft-missing"}


async def test_one_drafts_and_another_decides(api: Any, accepted: dict[str, Any]) -> None:
    answer = await press(api, accepted, "draft", REJECTED, api.officer_id)
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert (view["state"], view["decision"], view["reason_code"]) == ("drafted", None, None)
    own = await press(api, view, "decide", REJECTED, api.officer_id)
    assert (own.status_code, own.json()["type"]) == (409, "urn:town:problem:same-officer")
    otherwise = await press(api, view, "decide", APPROVED, new_id())
    assert (otherwise.status_code, otherwise.json()["type"]) == (409, "urn:town:problem:draft-differs")
    decided = (await press(api, view, "decide", REJECTED, new_id())).json()
    assert (decided["state"], decided["decision"], decided["reason_code"]) == ("rejected", "rejected", "not-insured")
    assert await events(api, view) == ["submitted", "accepted", "drafted", "rejected"]
    query = "SELECT drafted_by, drafted_decision FROM applications WHERE id = cast(:id AS uuid)"
    assert tuple((await api.rows(query, id=view["id"]))[0]) == (None, None)


async def test_what_is_proposed_is_shown_to_staff_and_to_nobody_else(api: Any, accepted: dict[str, Any]) -> None:
    await press(api, accepted, "draft", REJECTED, api.officer_id)
    path = f"/v1/applications/{accepted['id']}"
    shown = (await api.client.get(f"{path}/answers", headers=api.officer())).json()["draft"]
    assert shown == {**REJECTED, "drafted_by": str(api.officer_id)}
    for part in ("", "/answers", "/timeline"):
        answer = await api.client.get(path + part, headers=api.resident())
        assert answer.status_code == 200
        assert "not-insured" not in answer.text
    rows = await api.rows("SELECT data FROM outbox WHERE key = cast(:id AS uuid)", id=accepted["id"])
    assert not any(b"not-insured" in bytes(row.data) for row in rows)


async def test_who_thinks_otherwise_drafts_anew_and_the_first_one_decides(api: Any, accepted: dict[str, Any]) -> None:
    other = new_id()
    view = (await press(api, accepted, "draft", REJECTED, api.officer_id)).json()
    view = (await press(api, view, "draft", APPROVED, other)).json()
    own = await press(api, view, "decide", APPROVED, other)
    assert own.json()["type"] == "urn:town:problem:same-officer"
    view = (await press(api, view, "decide", APPROVED, api.officer_id)).json()
    assert (view["state"], view["reason_code"]) == ("approved", None)
    assert await events(api, view) == ["submitted", "accepted", "drafted", "drafted", "approved"]


async def test_a_draft_is_no_decision_and_its_application_can_be_withdrawn(api: Any, accepted: dict[str, Any]) -> None:
    view = (await press(api, accepted, "draft", APPROVED, api.officer_id)).json()
    headers = {**api.resident(), "If-Match": f'"{view["version"]}"'}
    answer = await api.client.post(f"/v1/applications/{view['id']}/withdraw", headers=headers)
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")


async def test_a_draft_is_made_once_however_often_it_is_sent(api: Any, accepted: dict[str, Any]) -> None:
    headers = {**api.officer(), "If-Match": f'"{accepted["version"]}"', "Idempotency-Key": str(new_id())}
    path = f"/v1/applications/{accepted['id']}/draft"
    first, again = [await api.client.post(path, json=APPROVED, headers=headers) for _ in range(2)]
    assert first.status_code == again.status_code == 200
    assert again.headers["idempotency-replayed"] == "true"
    assert await events(api, accepted) == ["submitted", "accepted", "drafted"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda headers, body: headers.pop("If-Match"), 428),
        (lambda headers, body: headers.update({"If-Match": '"1"'}), 412),
        (lambda headers, body: body.update(decision="rejected"), 422),
        (lambda headers, body: body.update(decision="completed"), 422),
    ],
)
async def test_a_draft_that_is_not_right_is_refused(
    api: Any, accepted: dict[str, Any], change: Callable[[Any, Any], Any], status: int
) -> None:
    headers, body = {**api.officer(), "If-Match": f'"{accepted["version"]}"'}, dict(APPROVED)
    change(headers, body)
    answer = await api.client.post(f"/v1/applications/{accepted['id']}/draft", json=body, headers=headers)
    assert answer.status_code == status
    assert await events(api, accepted) == ["submitted", "accepted"]


async def test_what_the_core_system_decides_is_not_drafted_here(api: Any) -> None:
    body = {
        "procedure_code": "CH-01",
        "answers": api.sample("CH-01"),
        "parties": [{"role": "applicant", "person_id": str(api.resident_id)}],
        "attachments": [await api.attach(api.officer(), "bank_account_proof")],
    }
    view = (await api.client.post("/v1/applications", json=body, headers=api.officer())).json()
    view = (await press(api, view, "accept", None, api.officer_id)).json()
    answer = await press(api, view, "draft", APPROVED, api.officer_id)
    assert answer.json()["type"] == "urn:town:problem:decided-by-core-system"
