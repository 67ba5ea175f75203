"""取下げ after the hand-over: the core system learns it by its next pull, and its decision is refused."""

import csv
import io
from typing import Any
from uuid import UUID

import pytest

from town_standardization.records.export import export_files
from town_standardization.restoring import missing

RESULTS = "/v1/data-linkage/027/results"


def result(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "result_id": f"027-{record['key']}-{record['history_number']}",
        "key": record["key"],
        "history_number": record["history_number"],
        "decision": "approved",
        "decided_on": "2026-10-09",
        **changes,
    }


async def told(world: Any, application_id: UUID) -> list[str]:
    """What was published about the application's records, by record."""
    query = "SELECT id FROM records WHERE application_id = :id ORDER BY history_number"
    rows = await world.rows(query, id=application_id)
    return [kind.split(".")[-2] for row in rows for kind, _ in await world.events(row.id)]


@pytest.fixture
async def handed_over(world: Any) -> UUID:
    """An application whose record the core system can pull."""
    application_id: UUID = await world.accepted("CH-01")
    await world.settle()
    return application_id


async def test_a_withdrawal_is_pulled_as_the_next_history_number_and_acknowledged_like_the_rest(
    world: Any, handed_over: UUID
) -> None:
    await world.withdraw(handed_over)
    first, last = await world.all_pulled("027", handed_over)
    assert [(one["history_number"], one["withdrawn"]) for one in (first, last)] == [(1, False), (2, True)]
    assert (last["key"], last["record"]) == (first["key"], first["record"])
    body = {"acknowledgements": [{"key": last["key"], "history_number": 2}]}
    path = "/v1/data-linkage/027/acknowledgements"
    assert (await world.client.post(path, json=body, headers=world.vendor())).json() == {"noted": 1}
    assert await told(world, handed_over) == ["prepared", "withdrawn", "acknowledged"]


async def test_a_withdrawal_told_twice_is_one_and_nothing_is_fetched_after_it(world: Any, handed_over: UUID) -> None:
    await world.withdraw(handed_over)
    await world.deliver(handed_over)
    await world.settle()
    assert len(await world.all_pulled("027", handed_over)) == 2
    [row] = await world.rows("SELECT state FROM hand_overs WHERE id = :id", id=handed_over)
    assert row.state == "dropped"


async def test_who_missed_the_event_learns_it_from_the_snapshot(world: Any, handed_over: UUID) -> None:
    await world.withdraw(handed_over, heard=False)
    await world.procedures_service.republish()
    await world.hear([event for event in await world.told(handed_over) if event.snapshot])
    assert [one["withdrawn"] for one in await world.all_pulled("027", handed_over)] == [False, True]


async def test_what_was_withdrawn_before_it_was_fetched_makes_no_record(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.withdraw(application_id)
    await world.settle()
    assert await world.rows("SELECT 1 FROM records WHERE application_id = :id", id=application_id) == []


async def test_the_files_mark_every_row_of_what_was_withdrawn(world: Any, handed_over: UUID) -> None:
    await world.withdraw(handed_over)
    [record, _] = await world.all_pulled("027", handed_over)
    assert await export_files(world.ports) >= 2
    for path in sorted(path for path in world.drop.iterdir() if path.suffix == ".csv")[:2]:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        mine = {(row["rirekibango"], row["torisage_furagu"]) for row in rows if row["key"] == record["key"]}
        assert mine == {("1", "0"), ("2", "1")}, path.name


@pytest.mark.parametrize("number", [1, 2])
async def test_a_decision_on_what_was_withdrawn_is_refused_and_nothing_is_told(
    world: Any, handed_over: UUID, number: int
) -> None:
    await world.withdraw(handed_over)
    record = (await world.all_pulled("027", handed_over))[number - 1]
    answer = await world.client.post(RESULTS, json=result(record), headers=world.vendor())
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:town:problem:application-withdrawn")
    assert answer.json()["title"] == "取り下げられた申請です"
    assert "審査を止め" in answer.json()["detail"]
    assert "decided" not in await told(world, handed_over)


async def test_who_decided_before_the_withdrawal_is_told_of_it_and_may_repeat_the_answer(
    world: Any, handed_over: UUID
) -> None:
    record = await world.pulled("027", handed_over)
    await world.client.post(RESULTS, json=result(record), headers=world.vendor())
    await world.withdraw(handed_over)
    assert (await world.pulled("027", handed_over))["withdrawn"] is True
    again = await world.client.post(RESULTS, json=result(record), headers=world.vendor())
    assert again.status_code == 200, again.text
    assert (await told(world, handed_over)).count("decided") == 1


async def test_after_a_restore_no_decision_is_asked_for_that_would_be_refused(world: Any, handed_over: UUID) -> None:
    record = await world.pulled("027", handed_over)
    entry = {"business_id": "027", "key": record["key"], "history_number": 1, "decided": True}
    async with world.service.database.begin() as session:
        assert [one.kind for one in await missing(session, {"records": [entry]})] == ["decision"]
    await world.withdraw(handed_over)
    async with world.service.database.begin() as session:
        assert await missing(session, {"records": [entry]}) == []
