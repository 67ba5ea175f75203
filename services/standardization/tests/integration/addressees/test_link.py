"""番号紐付: an addressee follows the person identity has found out."""

import json
from typing import Any
from uuid import UUID

from town_kit.ids import new_id
from town_standardization.addressees.consumers import PersonLinked, linked


async def link(world: Any, old: UUID, new: UUID) -> None:
    data = json.dumps({"from_person_id": str(old), "to_person_id": str(new)}).encode()
    await world.receive(PersonLinked, linked, data, key=old, occurred_at=world.clock.now())


async def of_person(world: Any, person: UUID) -> Any:
    rows = await world.rows("SELECT * FROM addressees WHERE person_id = :person", person=person)
    return rows[0] if rows else None


async def test_the_addressee_of_a_provisional_person_follows_her(world: Any) -> None:
    old, new = new_id(), new_id()
    answers = world.sample("LC-01")["answers"]
    answers["insured_person"].pop("my_number")
    await world.accepted("LC-01", answers, person=old)
    await world.settle()
    before = await of_person(world, old)
    await link(world, old, new)
    assert (await of_person(world, new)).addressee_number == before.addressee_number
    assert await of_person(world, old) is None


async def test_a_person_nobody_knows_here_changes_nothing(world: Any) -> None:
    await link(world, new_id(), new := new_id())
    assert await of_person(world, new) is None


async def test_two_persons_identity_tells_apart_are_never_joined_by_what_they_are_called(world: Any) -> None:
    first, second = new_id(), new_id()
    answers = world.sample("LC-01")["answers"]
    answers["insured_person"].pop("my_number")
    for person in (first, second):
        await world.accepted("LC-01", answers, person=person)
        await world.settle()
    assert (await of_person(world, first)).id != (await of_person(world, second)).id
