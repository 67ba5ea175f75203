"""Lists: every application once and in order, read off an index in that order, however much is stored."""

import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from town_kit.auth import Principal, Role
from town_kit.clock import SystemClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.testing import PostgresServer
from town_kit.testing.pages import all_items
from town_kit.testing.plans import plans_of
from town_procedures.applications import repository
from town_procedures.main import MIGRATIONS


async def file(api: Any, headers: dict[str, str], **more: Any) -> str:
    body = {"procedure_code": "LC-01", "answers": api.sample("LC-01"), **more}
    answer = await api.client.post("/v1/applications", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


async def pages(api: Any, headers: dict[str, str], **query: Any) -> list[str]:
    items = await all_items(api.client, "/v1/applications", headers, **{"limit": 2, **query})
    return [item["id"] for item in items]


async def test_a_resident_sees_her_own_once_and_newest_first(api: Any) -> None:
    person, stranger = new_id(), new_id()
    made = []
    for _ in range(3):
        made.append(await file(api, api.resident(person)))
        await file(api, api.resident(stranger))
        api.clock.advance(timedelta(seconds=1))
    twice = [{"role": role, "person_id": str(person)} for role in ("applicant", "subject")]
    made.append(await file(api, api.officer(), parties=twice))
    earlier = (api.clock.now() - timedelta(days=3)).isoformat()
    made.insert(0, await file(api, api.officer(), parties=twice[:1], received_at=earlier))
    assert await pages(api, api.resident(person)) == made[::-1]
    assert await pages(api, api.resident(person), state="submitted") == made[::-1]
    assert await pages(api, api.resident(person), procedure_code="CH-01") == []


async def test_what_was_moved_to_another_person_is_in_her_list(api: Any) -> None:
    provisional, linked = new_id(), new_id()
    made = await file(api, api.resident(provisional))
    await api.rows(
        "UPDATE application_parties SET person_id = :new WHERE person_id = :old RETURNING 1",
        old=provisional,
        new=linked,
    )
    assert await pages(api, api.resident(linked)) == [made]
    assert await pages(api, api.resident(provisional)) == []


# A procedure few apply for: of one that nearly every row is of, the list of all is as good, and may be taken.
RARE = "ZZ-99"


@pytest.mark.parametrize(
    ("role", "wanted", "index"),
    [
        (Role.STAFF, {"only_open": True}, "applications_open"),
        (Role.STAFF, {"only_open": True, "procedure_code": RARE}, "applications_open_of_procedure"),
        (Role.STAFF, {"state": "withdrawn"}, "applications_by_state"),
        (Role.STAFF, {"state": "withdrawn", "procedure_code": RARE}, "applications_(by|of)_procedure"),
        (Role.STAFF, {"procedure_code": RARE}, "applications_of_procedure"),
        (Role.STAFF, {}, "applications_by_arrival"),
        (Role.RESIDENT, {}, "application_parties_by_arrival"),
    ],
)
async def test_a_page_is_read_off_an_index_in_the_order_of_the_list(
    postgres_server: PostgresServer, role: Role, wanted: dict[str, Any], index: str
) -> None:
    principal = Principal(id=new_id(), role=role, client_id="test", scopes=frozenset())
    after = (SystemClock().now(), new_id())
    urls = postgres_server.create_database("procedures_plans", MIGRATIONS)
    async with Database(urls.app_url).running() as database, database.begin() as session:
        page = partial(repository.page, session, principal, after=after, limit=100, **wanted)
        plan = (await plans_of(session, page))[-1]
    assert re.search(f"using {index} on", plan), plan
    assert "(ROW(" in plan.split("Filter")[0], plan
    assert "Sort" not in plan, plan
