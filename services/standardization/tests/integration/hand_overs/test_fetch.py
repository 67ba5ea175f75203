"""引渡し: fetched once, tried again while a neighbour is away, held where a clerk has to look."""

import copy
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from town_kit import http
from town_kit.auth import Role
from town_kit.ids import new_id
from town_standardization.hand_overs import fetch_batch
from town_standardization.hand_overs.consumers import ApplicationCorrectionReceived


async def state(world: Any, application_id: UUID) -> Any:
    [row] = await world.rows("SELECT * FROM hand_overs WHERE id = :id", id=application_id)
    return row


async def records(world: Any, application_id: UUID) -> list[Any]:
    return await world.rows(
        "SELECT * FROM records WHERE application_id = :id ORDER BY history_number", id=application_id
    )


async def test_a_repeated_event_makes_one_record(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    await world.deliver(application_id)
    await world.settle()
    assert len(await records(world, application_id)) == 1


async def test_who_comes_late_begins_from_a_snapshot_and_who_is_not_late_begins_nothing_anew(world: Any) -> None:
    application_id = await world.accepted("CH-01", heard=False)
    await world.procedures_service.republish()
    snapshots = [event for event in await world.told(application_id) if event.snapshot]
    for _ in range(2):
        await world.hear(snapshots)
        await world.settle()
    assert [(event.type.rpartition("application.")[2]) for event in snapshots] == ["republished.v1"]
    assert len(await records(world, application_id)) == 1


async def test_the_numbers_are_deposited_and_procedures_is_told_the_references(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    [(kind, event)] = await world.events(application_id)
    assert kind == "town.standardization.my-number.deposited.v1"
    assert set(event["references"]) == {
        "/claimant/my_number",
        "/spouse/my_number",
        "/children/0/my_number",
        "/children/1/my_number",
    }
    kept = {str(row.id) for row in await world.rows("SELECT id FROM my_numbers")}
    assert set(event["references"].values()) <= kept


async def test_every_opening_is_audited_with_purpose_and_basis(world: Any) -> None:
    query = "SELECT * FROM audit_records WHERE action = 'my-number.open' AND purpose = '027 標準レコードの作成'"
    before = {row.id for row in await world.rows(query)}
    application_id = await world.accepted("CH-01")
    await world.settle()
    new = [row for row in await world.rows(query) if row.id not in before]
    rows = [row for row in new if row.result == "done"]
    numbers = ["/children/0/my_number", "/children/1/my_number", "/claimant/my_number", "/spouse/my_number"]
    assert sorted(row.fields[0] for row in rows) == numbers
    [begun] = [row for row in new if row.result == "begun"]
    assert (begun.fields[0], sorted(begun.fields[1:])) == (str(application_id), numbers)
    assert all("番号法" in row.basis and row.subjects and row.client_id == "service:standardization" for row in rows)


async def begun(world: Any, application_id: UUID) -> list[Any]:
    """The records that say that numbers of this application are about to be opened."""
    query = """SELECT * FROM audit_records
        WHERE action = 'my-number.open' AND result = 'begun' AND :id = ANY (fields) ORDER BY at"""
    return await world.rows(query, id=str(application_id))


async def damaged(world: Any, application_id: UUID, index: int) -> None:
    """One of the numbers procedures holds does not open any more."""
    change = (
        "UPDATE applications SET my_numbers = jsonb_set(my_numbers, ARRAY[:at, 'jwe'], '\"broken\"') WHERE id = :id"
    )
    async with world.procedures_service.database.begin() as session:
        await session.execute(text(change), {"id": application_id, "at": str(index)})


async def test_a_number_that_does_not_open_leaves_the_openings_in_the_audit(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await damaged(world, application_id, 3)  # three open before it
    await world.settle()
    held = await state(world, application_id)
    assert (held.state, held.wrong[0]["code"]) == ("held", "sealed")
    [record] = await begun(world, application_id)
    assert len(record.fields) == 5
    assert "番号法" in record.basis
    assert record.client_id == "service:standardization"


async def test_nothing_is_opened_while_identity_is_away_and_each_later_try_is_audited(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()  # this service has a token for its neighbours
    application_id = await world.accepted("LC-01", person=new_id())
    await damaged(world, application_id, 0)  # opening it would hold the application
    there = http.registered_app("identity")
    http._apps.pop("identity")
    assert await fetch_batch(world.ports) == 0
    assert (await state(world, application_id)).state == "waiting"
    assert await begun(world, application_id) == []
    http.register_app("identity", there)
    world.clock.advance(timedelta(seconds=30))
    await world.settle()
    assert (await state(world, application_id)).state == "held"
    assert len(await begun(world, application_id)) == 1


async def test_what_changed_while_it_was_read_is_left_alone_and_its_opening_stands_in_the_audit(world: Any) -> None:
    application_id = await world.accepted("CH-01")

    async def changes(path: str) -> None:
        if path.endswith("/hand-over"):
            change = "UPDATE hand_overs SET revision = revision + 1, due_at = :later WHERE id = :id"
            later = world.clock.now() + timedelta(hours=1)
            await world.rows_changed(change, id=application_id, later=later)

    with world.between("procedures", changes):
        await fetch_batch(world.ports)
    assert await records(world, application_id) == []
    assert len(await begun(world, application_id)) == 1


async def test_the_same_person_keeps_her_addressee_number(world: Any) -> None:
    first, second = await world.accepted("CH-01"), await world.accepted("CH-01")
    await world.settle()
    numbers = [(await records(world, one))[0].content["seikyusha_atenabango"] for one in (first, second)]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) == 15


async def test_the_number_identity_knows_is_used(world: Any) -> None:
    person = new_id()
    async with world.identity_service.database.begin() as session:
        await session.execute(
            text(
                "INSERT INTO persons (id, version, event_sequence, addressee_number, registered_at)"
                " VALUES (:id, 1, 0, :number, now())"
            ),
            {"id": person, "number": f"{person.int % 10**11:011d}"},
        )
    answers = copy.deepcopy(world.sample("LC-01")["answers"])
    answers["insured_person"].pop("my_number")
    application_id = await world.accepted("LC-01", answers, person=person)
    await world.settle()
    [record] = await records(world, application_id)
    assert record.content["hihokensha_atenabango"] == f"{person.int % 10**11:015d}"
    assert person in record.subjects


@pytest.mark.runbook("procedures")
async def test_a_neighbour_that_is_away_is_asked_again_later(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    there = http.registered_app("procedures")
    http._apps.pop("procedures")
    assert await fetch_batch(world.ports) == 0
    waiting = await state(world, application_id)
    assert (waiting.state, waiting.attempts) == ("waiting", 1)
    http.register_app("procedures", there)
    world.clock.advance(timedelta(seconds=30))
    await world.settle()
    assert (await state(world, application_id)).state == "done"


async def test_an_incomplete_application_is_held_with_reasons_and_no_values(world: Any) -> None:
    answers = copy.deepcopy(world.sample("CH-01")["answers"])
    answers["claimant"]["name"] = "能登\u202e花子"  # the form allows it, the record does not
    application_id = await world.accepted("CH-01", answers)
    await world.settle()
    held = await state(world, application_id)
    assert held.state == "held"
    assert [one["code"] for one in held.wrong] == ["character"]
    listed = await world.client.get("/v1/hand-overs", headers=world.staff("hand-overs:read"), params={"limit": "100"})
    [mine] = [one for one in listed.json()["items"] if one["application_id"] == str(application_id)]
    assert mine["reasons"][0]["field"] == "seikyusha_shimei"
    assert "花子" not in listed.text
    assert await records(world, application_id) == []


async def test_what_was_put_right_is_tried_again(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.rows_changed("UPDATE hand_overs SET state = 'held' WHERE id = :id", id=application_id)
    path = f"/v1/hand-overs/{application_id}/retry"
    answer = await world.client.post(path, headers=world.staff("hand-overs:retry"))
    assert answer.status_code == 200, answer.text
    await world.settle()
    assert (await state(world, application_id)).state == "done"
    again = await world.client.post(path, headers=world.staff("hand-overs:retry"))
    assert again.status_code == 409


async def test_a_correction_becomes_the_next_history_number(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    async with world.procedures_service.database.begin() as session:
        change = "UPDATE applications SET answers = jsonb_set(answers, '{remarks}', '\"訂正\"') WHERE id = :id"
        await session.execute(text(change), {"id": application_id})
    consumer = world.service.consumers[0]
    data = f'{{"application_id": "{application_id}"}}'.encode()
    envelope = {"key": application_id, "occurred_at": world.clock.now()}
    await world.receive(
        ApplicationCorrectionReceived, consumer.handlers[ApplicationCorrectionReceived], data, **envelope
    )
    await world.settle()
    found = await records(world, application_id)
    assert [(one.history_number, one.content["biko"]) for one in found] == [(1, None), (2, "訂正")]
    assert found[0].key == found[1].key


async def test_an_application_that_is_gone_is_dropped(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.rows_changed(
        "UPDATE hand_overs SET id = :new WHERE id = :id", id=application_id, new=(gone := new_id())
    )
    await world.settle()
    assert (await state(world, gone)).state == "dropped"


async def test_only_staff_see_what_is_held(world: Any) -> None:
    resident = world.headers(Role.RESIDENT, "hand-overs:read")
    assert (await world.client.get("/v1/hand-overs", headers=resident)).status_code == 403
