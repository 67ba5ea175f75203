"""D-42: a record the core system took before a restore keeps its name and is not handed out again."""

from typing import Any

import asyncpg
import pytest

from town_kit.testing import PostgresServer
from town_standardization.main import MIGRATIONS
from town_standardization.restoring import RESTORING, missing, recognise

pytestmark = pytest.mark.case("D-42")
AT = "2026-10-05T09:00:00+09:00"


def listed(key: str, number: int = 1, *, decided: bool = False) -> dict[str, Any]:
    return {
        "records": [
            {
                "business_id": "027",
                "key": key,
                "history_number": number,
                "acknowledged_at": AT,
                "decided": decided,
            }
        ]
    }


async def name_of(world: Any, application_id: Any) -> str:
    [row] = await world.rows("SELECT reference FROM hand_overs WHERE id = :id", id=application_id)
    return str(row.reference)


async def as_owner(server: PostgresServer, statement: str) -> list[Any]:
    """Run a statement as a restore does."""
    connection = await asyncpg.connect(server.create_database("standardization", MIGRATIONS).owner_dsn)
    try:
        await connection.execute("SELECT set_config('town.role', 'service', false)")
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def everything_pulled(world: Any) -> list[str]:
    keys: list[str] = []
    cursor = None
    while True:
        query = {"cursor": cursor} if cursor else {}
        page = (await world.client.get("/v1/data-linkage/027/records", params=query, headers=world.vendor())).json()
        if not page["records"]:
            return keys
        keys += [one["key"] for one in page["records"]]
        cursor = page["next_cursor"]


async def test_a_record_taken_before_the_restore_is_written_as_taken_and_not_handed_out(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    key = await name_of(world, application_id)
    async with world.service.database.begin() as session:
        assert await recognise(session, listed(key)) == 1
        assert [one.kind for one in await missing(session, listed(key))] == ["record"]

    await world.settle()

    [row] = await world.rows(
        "SELECT history_number, acknowledged_at, withheld FROM records WHERE application_id = :id", id=application_id
    )
    assert (row.history_number, row.withheld) == (1, True)
    assert row.acknowledged_at is not None
    assert key not in await everything_pulled(world)
    async with world.service.database.begin() as session:
        assert await missing(session, listed(key)) == []
        assert [one.kind for one in await missing(session, listed(key, decided=True))] == ["decision"]


async def test_an_acknowledgement_after_the_backup_is_taken_from_the_list(world: Any) -> None:
    application_id = await world.accepted("CH-01")
    await world.settle()
    key = (await world.pulled("027", application_id))["key"]
    async with world.service.database.begin() as session:
        assert await recognise(session, listed(key)) == 1
        assert await recognise(session, listed(key)) == 0
    [row] = await world.rows("SELECT acknowledged_at, withheld FROM records WHERE key = :key", key=key)
    assert row.acknowledged_at is not None
    assert row.withheld is False


async def test_a_record_written_after_a_restore_stands_behind_every_cursor_given_out(
    world: Any, postgres_server: PostgresServer
) -> None:
    before = await world.accepted("CH-01")
    await world.settle()
    [old] = await world.rows("SELECT position FROM records WHERE application_id = :id", id=before)
    [skip] = [one for one in RESTORING.skips if one.label == "標準レコードの位置"]
    await as_owner(postgres_server, skip.statement)
    after = await world.accepted("CH-01")
    await world.settle()
    [new] = await world.rows("SELECT position FROM records WHERE application_id = :id", id=after)
    assert new.position > old.position + 1_000_000


async def test_every_statement_that_leaves_numbers_out_says_so(world: Any, postgres_server: PostgresServer) -> None:
    await world.accepted("CH-01")
    await world.settle()
    for skip in RESTORING.skips:
        [line] = await as_owner(postgres_server, skip.statement)
        assert line[0]
