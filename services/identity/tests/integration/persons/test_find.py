"""A clerk finds the person of a 宛名番号; nobody else may ask, and each question is recorded."""

from typing import Any

import pytest

from town_kit.auth import Role
from town_kit.ids import new_id


async def numbered(api: Any, number: str) -> str:
    """A person who has that 宛名番号, as the 番号紐付 leaves her."""
    person_id = (await api.log_in(api.card()))["person_id"]
    async with api.service.database.begin() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE persons SET addressee_number = $1 WHERE id = $2", (number, person_id))
    return str(person_id)


async def test_a_clerk_finds_the_person_and_the_record_says_who_asked_about_whom_and_why(api: Any) -> None:
    number, clerk = new_id().hex[:15], new_id()
    person_id = await numbered(api, number)
    headers = api.headers(Role.STAFF, "persons:read", subject=clerk)
    answer = await api.client.get("/v1/persons", params={"addressee_number": number}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert [person["id"] for person in answer.json()] == [person_id]
    nobody = await api.client.get("/v1/persons", params={"addressee_number": "nobody"}, headers=headers)
    assert (nobody.status_code, nobody.json()) == (200, [])
    records = await api.rows(
        "SELECT purpose, subjects::text[] AS subjects FROM audit_records WHERE principal = :id ORDER BY id", id=clerk
    )
    assert [record.subjects for record in records] == [[person_id], []]
    assert {record.purpose for record in records} == {"宛名番号による本人の特定"}


@pytest.mark.parametrize(
    ("role", "slug"),
    [
        (Role.RESIDENT, "insufficient-scope"),
        (Role.VENDOR, "insufficient-scope"),
        (Role.SERVICE, "zone-violation"),
    ],
)
async def test_only_a_clerk_may_ask_by_number(api: Any, role: Role, slug: str) -> None:
    headers = api.headers(role, "persons:read")
    answer = await api.client.get("/v1/persons", params={"addressee_number": "1"}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, f"urn:town:problem:{slug}")


@pytest.mark.parametrize("number", ["", "1" * 16, "1 2", "%", "１"])
async def test_what_is_no_number_is_refused(api: Any, number: str) -> None:
    headers = api.headers(Role.STAFF, "persons:read")
    answer = await api.client.get("/v1/persons", params={"addressee_number": number}, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:town:problem:validation-failed")
