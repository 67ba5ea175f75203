"""What standardization tells: a core system's decision settles an application, or stands as a flag where it is late."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from town_kit.ids import new_id
from town_kit.messaging.consumer import Processing
from town_kit.messaging.event import Envelope, encode_headers, source
from town_kit.messaging.transport import Incoming
from town_procedures.applications.consumers import MyNumbersDeposited, RecordDecided

VAULT = source("174611", "standardization")


def message(reader: Any, key: UUID, data: dict[str, Any], occurred_at: Any) -> Incoming:
    """An event as it lies in the log, the first of its aggregate."""
    envelope = Envelope(id=new_id(), type=reader.TYPE, key=key, sequence=1, occurred_at=occurred_at)
    body = json.dumps(data, default=str).encode()
    return Incoming(reader.TOPIC, 0, 0, str(key).encode(), encode_headers(envelope, VAULT), body)


async def process(api: Any, name: str, *messages: Incoming) -> None:
    """Run the real consumer over messages, with its inbox."""
    [consumer] = [one for one in api.service.consumers if one.name == name]
    await Processing(api.service.database, consumer).process(messages)


async def decided(api: Any, application_id: str, result: str, record_id: UUID | None = None) -> UUID:
    """The core system's decision reaches this service; each 履歴番号 is a record of its own."""
    record_id = record_id or new_id()
    data = {
        "record_id": record_id,
        "application_id": application_id,
        "result": result,
        "reason_code": "requirements_not_met" if result == "rejected" else None,
        "decided_on": "2027-01-12",
    }
    await process(api, "procedures.decisions", message(RecordDecided, record_id, data, api.clock.now()))
    return record_id


async def accepted(api: Any) -> dict[str, Any]:
    """An application the core system decides."""
    body = {
        "procedure_code": "CH-01",
        "answers": api.sample("CH-01"),
        "parties": [{"role": "applicant", "person_id": str(api.resident_id)}],
        "attachments": [await api.attach(api.officer(), "bank_account_proof")],
    }
    view = (await api.client.post("/v1/applications", json=body, headers=api.officer())).json()
    return await press(api, view, "accept")


async def press(api: Any, view: dict[str, Any], verb: str) -> dict[str, Any]:
    headers = {**api.officer(), "If-Match": f'"{view["version"]}"'}
    answer = await api.client.post(f"/v1/applications/{view['id']}/{verb}", headers=headers)
    assert answer.status_code == 200, answer.text
    moved: dict[str, Any] = answer.json()
    return moved


async def now_is(api: Any, view: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await api.client.get(f"/v1/applications/{view['id']}", headers=api.officer())).json()
    return found


async def dead_letters(api: Any, key: UUID) -> list[Any]:
    return list(await api.rows("SELECT reason FROM dead_letters WHERE key = :key", key=key))


async def told(api: Any, view: dict[str, Any]) -> list[str]:
    rows = await api.rows("SELECT type FROM outbox WHERE key = cast(:id AS uuid) ORDER BY sequence", id=view["id"])
    return [row.type.split(".")[-2] for row in rows]


@pytest.mark.parametrize(("result", "reason"), [("approved", None), ("rejected", "requirements_not_met")])
async def test_a_decision_settles_and_completes_and_is_told_once(api: Any, result: str, reason: str | None) -> None:
    view = await accepted(api)
    for _ in range(2):  # once more under another 履歴番号
        await decided(api, view["id"], result)
    found = await now_is(api, view)
    assert (found["state"], found["decision"], found["reason_code"]) == ("completed", result, reason)
    assert await told(api, view) == ["submitted", "accepted", result, "completed"]


@pytest.mark.parametrize("result", ["approved", "rejected"])
async def test_a_decision_that_crosses_a_withdrawal_moves_nothing_and_stands_as_a_flag(api: Any, result: str) -> None:
    withdrawn = await press(api, await accepted(api), "withdraw")
    record = await decided(api, withdrawn["id"], result)
    again = await decided(api, withdrawn["id"], result)
    found = await now_is(api, withdrawn)
    assert (found["state"], found["decision"]) == ("withdrawn", None)
    assert found["flags"].count("decided_after_withdrawal") == 1
    assert found["version"] == withdrawn["version"] + 1
    assert await told(api, withdrawn) == ["submitted", "accepted", "withdrawn"]
    assert await dead_letters(api, record) + await dead_letters(api, again) == []


async def test_another_decision_after_the_end_changes_nothing_and_stands_as_a_flag(api: Any) -> None:
    view = await accepted(api)
    await decided(api, view["id"], "approved")
    record = await decided(api, view["id"], "rejected")
    found = await now_is(api, view)
    assert (found["state"], found["decision"]) == ("completed", "approved")
    assert found["flags"].count("decided_otherwise") == 1
    assert await dead_letters(api, record) == []


async def test_a_decision_on_what_is_not_here_is_passed_over(api: Any) -> None:
    assert await dead_letters(api, await decided(api, str(new_id()), "approved")) == []


async def test_references_of_this_content_replace_its_numbers_and_those_of_another_change_nothing(api: Any) -> None:
    view = await accepted(api)
    query = "SELECT my_numbers FROM applications WHERE id = cast(:id AS uuid)"
    [before] = await api.rows(query, id=view["id"])
    pointers = [number["pointer"] for number in before.my_numbers]
    assert len(pointers) == 4
    data = {"application_id": view["id"], "references": {pointer: str(new_id()) for pointer in pointers}}
    key = UUID(view["id"])
    late = message(MyNumbersDeposited, key, data | {"revision": 2}, api.clock.now())
    await process(api, "procedures.my-numbers", late)
    assert (await api.rows(query, id=view["id"]))[0].my_numbers == before.my_numbers
    next_one = Envelope(id=new_id(), type=MyNumbersDeposited.TYPE, key=key, sequence=2, occurred_at=api.clock.now())
    mine = message(MyNumbersDeposited, key, data | {"revision": 1}, api.clock.now())
    await process(api, "procedures.my-numbers", replace(mine, headers=encode_headers(next_one, VAULT)))
    after = (await api.rows(query, id=view["id"]))[0].my_numbers
    assert {n["pointer"]: n["reference"] for n in after} == data["references"]
    assert not [n for n in after if "jwe" in n]
