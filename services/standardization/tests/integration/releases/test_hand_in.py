"""再受付: a released package is read in the vault and becomes an application with its numbers encrypted."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from starlette.responses import PlainTextResponse

from town_kit import http
from town_standardization.releases import hand_in_batch

MY_NUMBER = "999000000059"


async def release_of(world: Any, view: dict[str, Any]) -> Any:
    [row] = await world.rows("SELECT * FROM releases WHERE id = :id", id=view["id"])
    return row


async def application_of(world: Any, view: dict[str, Any]) -> Any:

    async with world.procedures_service.database.begin() as session:
        query = "SELECT a.* FROM applications a JOIN quarantined_packages q ON q.application_id = a.id WHERE q.id = :id"
        return (await session.execute(text(query), {"id": view["id"]})).one_or_none()


async def test_a_released_package_becomes_an_application_without_clear_numbers(world: Any) -> None:
    answers = world.sample("LC-01")["answers"]
    assert answers["insured_person"]["my_number"] == MY_NUMBER
    view = await world.put_aside("LC-01", answers)
    assert view["reason"] == "wrong-municipality"
    await world.release(view)
    assert await hand_in_batch(world.ports) == 1
    assert (await release_of(world, view)).outcome == "received"
    application = await application_of(world, view)
    assert application.procedure_code == "LC-01"
    [number] = application.my_numbers
    assert number["pointer"] == "/insured_person/my_number"
    assert world.ports.vault.open(number["jwe"]).masked() == "********0059"
    assert MY_NUMBER not in str(application.answers)
    for table in ("releases", "audit_records"):
        assert not [row for row in await world.rows(f"SELECT t::text AS line FROM {table} t") if MY_NUMBER in row.line]


async def test_opening_a_raw_package_is_audited(world: Any) -> None:
    view = await world.put_aside("LC-01", world.sample("LC-01")["answers"])
    await world.release(view)
    await hand_in_batch(world.ports)
    raw = (await release_of(world, view)).raw_package_id
    [audit] = await world.rows(
        "SELECT * FROM audit_records WHERE action = 'raw-package.open' AND fields = ARRAY[:raw]", raw=str(raw)
    )
    assert audit.purpose == "隔離された申請データの再受付"


async def openings(world: Any, view: dict[str, Any]) -> list[str]:
    """What the audit says of the opening of this raw package, each time."""
    raw = (await release_of(world, view)).raw_package_id
    query = "SELECT result FROM audit_records WHERE action = 'raw-package.open' AND fields = ARRAY[:raw] ORDER BY at"
    return [row.result for row in await world.rows(query, raw=str(raw))]


async def test_a_package_that_cannot_be_read_was_opened_all_the_same(world: Any) -> None:
    view = await world.sent_aside("LC-01", b"no archive at all")
    await world.release(view)
    assert await hand_in_batch(world.ports) == 1
    assert (await release_of(world, view)).state == "held"
    assert await openings(world, view) == ["begun"]


async def test_each_try_after_a_neighbour_was_away_opens_again_and_says_so(world: Any) -> None:
    view = await world.put_aside("LC-01", world.sample("LC-01")["answers"])
    await world.release(view)

    async def away(path: str) -> Any:
        return PlainTextResponse("", 503) if path == "/v1/procedures" else None

    with world.between("procedures", away):
        assert await hand_in_batch(world.ports) == 0
    assert await openings(world, view) == ["begun"]
    world.clock.advance(timedelta(seconds=60))
    assert await hand_in_batch(world.ports) == 1
    assert await openings(world, view) == ["begun", "begun"]


async def test_a_package_that_could_not_be_fetched_was_not_opened(world: Any) -> None:
    view = await world.put_aside("LC-01", world.sample("LC-01")["answers"])
    await world.release(view)

    async def away(path: str) -> Any:
        return PlainTextResponse("", 503) if path.startswith("/v1/raw-packages/") else None

    with world.between("procedures", away):
        assert await hand_in_batch(world.ports) == 0
    assert await openings(world, view) == []
    world.clock.advance(timedelta(seconds=60))
    assert await hand_in_batch(world.ports) == 1
    assert await openings(world, view) == ["begun"]


async def test_a_package_that_is_still_wrong_waits_for_the_clerk_again(world: Any) -> None:
    answers = world.sample("LC-01")["answers"]
    answers["insured_person"]["birth_date"] = "1990-01-01"  # category 1 begins at 65
    view = await world.put_aside("LC-01", answers)
    await world.release(view)
    assert await hand_in_batch(world.ports) == 1
    assert (await release_of(world, view)).outcome == "quarantined"
    assert await application_of(world, view) is None


async def test_an_unknown_procedure_is_held(world: Any) -> None:
    view = await world.put_aside("LC-01", world.sample("LC-01")["answers"], procedure_id="sandbox-unbekannt")
    await world.release(view)
    assert await hand_in_batch(world.ports) == 1
    row = await release_of(world, view)
    assert (row.state, row.reason) == ("held", "procedure-unknown")
    assert await openings(world, view) == ["begun"]


async def test_a_neighbour_that_is_away_is_asked_again(world: Any) -> None:
    view = await world.put_aside("LC-01", world.sample("LC-01")["answers"])
    await world.release(view)
    there = http.registered_app("procedures")
    http._apps.pop("procedures")
    assert await hand_in_batch(world.ports) == 0
    http.register_app("procedures", there)
    world.clock.advance(timedelta(seconds=60))
    assert await hand_in_batch(world.ports) == 1
    assert (await release_of(world, view)).state == "done"
