"""差替 after acceptance: the core system pulls the new content, and numbers of the old one settle nothing."""

import copy
import json
from typing import Any
from uuid import UUID

from sqlalchemy import text

from town_kit.ids import new_id
from town_kit.jp import BusinessDays
from town_kit.messaging.event import Received
from town_procedures.applications.consumers import MyNumbersDeposited, application_consumers
from town_standardization.hand_overs.consumers import ApplicationRevised
from town_standardization.releases import hand_in_batch


async def in_procedures(world: Any, query: str, **parameters: Any) -> list[Any]:
    async with world.procedures_service.database.begin() as session:
        return list((await session.execute(text(query), parameters)).all())


async def taken(world: Any, answers: dict[str, Any], receipt_no: str) -> UUID:
    """A package of the portal that a clerk released and the vault handed in."""
    view = await world.put_aside("LC-01", answers, receipt_no=receipt_no)
    await world.release(view)
    while await hand_in_batch(world.ports):
        pass
    [row] = await in_procedures(world, "SELECT id FROM applications WHERE receipt_no = :no", no=receipt_no)
    return UUID(str(row.id))


async def accept(world: Any, application_id: UUID) -> None:
    path = f"/v1/applications/{application_id}"
    etag = (await world.procedures.get(path, headers=world.staff("applications:read"))).headers["etag"]
    accepting = world.staff("applications:accept") | {"If-Match": etag}
    assert (await world.procedures.post(f"{path}/accept", headers=accepting)).status_code == 200


async def deposits(world: Any, application_id: UUID) -> list[dict[str, Any]]:
    return [event for kind, event in await world.events(application_id) if "deposited" in kind]


async def tell_procedures(world: Any, deposit: dict[str, Any]) -> None:
    """Bring procedures what the vault published, as its consumer would get it from the log."""
    [consumer] = [c for c in application_consumers(world.clock, BusinessDays()) if c.name == "procedures.my-numbers"]
    event = Received(
        data=MyNumbersDeposited.model_validate_json(json.dumps(deposit)),
        key=UUID(deposit["application_id"]),
        sequence=1,
        id=new_id(),
        occurred_at=world.clock.now(),
        traceparent=None,
    )
    async with world.procedures_service.database.begin() as session:
        await consumer.handlers[MyNumbersDeposited](session, event)


async def numbers(world: Any, application_id: UUID) -> list[dict[str, Any]]:
    [row] = await in_procedures(world, "SELECT my_numbers FROM applications WHERE id = :id", id=application_id)
    return list(row.my_numbers)


async def test_the_core_system_pulls_the_content_a_clerk_released_after_acceptance(world: Any) -> None:
    receipt_no, answers = f"R-{new_id().hex[:20]}", world.sample("LC-01")["answers"]
    application_id = await taken(world, answers, receipt_no)
    await accept(world, application_id)
    await world.deliver(application_id)
    await world.settle()
    other = copy.deepcopy(answers) | {"remarks": "差替"}
    assert await taken(world, other, receipt_no) == application_id
    await world.deliver(application_id)
    await world.settle()
    found = await world.all_pulled("023", application_id)
    assert [(one["history_number"], one["record"]["biko"]) for one in found] == [
        (1, answers.get("remarks")),
        (2, "差替"),
    ]
    assert [deposit["revision"] for deposit in await deposits(world, application_id)] == [1, 2]


async def test_a_late_deposit_of_the_content_before_changes_nothing(world: Any) -> None:
    receipt_no, answers = f"R-{new_id().hex[:20]}", world.sample("LC-01")["answers"]
    application_id = await taken(world, answers, receipt_no)
    await accept(world, application_id)
    await world.deliver(application_id)
    await world.settle()
    [late] = await deposits(world, application_id)
    other = copy.deepcopy(answers) | {"remarks": "差替"}
    other["insured_person"]["my_number"] = "999000000067"
    await taken(world, other, receipt_no)
    before = await numbers(world, application_id)
    assert "jwe" in before[0]
    await tell_procedures(world, late)
    assert await numbers(world, application_id) == before
    await tell_procedures(world, late | {"revision": 2})
    assert "jwe" not in (await numbers(world, application_id))[0]


async def test_a_decision_on_the_content_before_is_refused_and_the_newest_is_named(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    first = await world.pulled("027", application_id)
    change = "UPDATE applications SET answers = jsonb_set(answers, '{remarks}', '\"差替\"') WHERE id = :id RETURNING 1"
    await in_procedures(world, change, id=application_id)
    told = f'{{"application_id": "{application_id}"}}'.encode()
    handler = world.service.consumers[0].handlers[ApplicationRevised]
    await world.receive(ApplicationRevised, handler, told, key=application_id, occurred_at=world.clock.now())
    await world.settle()
    second = await world.pulled("027", application_id)
    assert second["history_number"] == 2

    async def decide(record: dict[str, Any]) -> Any:
        body = {
            "result_id": f"027-{record['key']}-{record['history_number']}",
            "key": record["key"],
            "history_number": record["history_number"],
            "decision": "approved",
            "decided_on": "2026-10-09",
        }
        return await world.client.post("/v1/data-linkage/027/results", json=body, headers=world.vendor())

    refused = await decide(first)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:town:problem:record-superseded")
    assert "最新の履歴番号" in refused.json()["detail"]
    assert (await decide(second)).status_code == 200
