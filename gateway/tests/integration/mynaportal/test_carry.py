"""Applications are carried in once, whole, and whatever breaks between two steps is taken up again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from town_gateway.mynaportal import repository
from town_kit.db import Database

PACKAGE = b"PK\x03\x04" + b"raw bytes, opened by procedures alone" * 100
BACK_OFF = timedelta(minutes=20)


async def rows(database: Database) -> list[Any]:
    async with database.begin() as session:
        found = await session.execute(text("SELECT * FROM portal_applications ORDER BY listed_at, receipt_no"))
        return list(found.mappings())


async def test_a_package_reaches_procedures_as_it_is_and_only_then_the_portal_hears_of_it(connected: Any) -> None:
    receipt_no = await connected.files(PACKAGE)

    listed = await connected.poller.poll()
    before = connected.ledger("status")
    carried = await connected.poller.carry()

    ((query, body),) = connected.door.kept.values()
    assert (listed, carried, before) == (1, 1, [])
    assert body == PACKAGE
    assert query["receipt_no"] == receipt_no
    assert query["source"] == "mynaportal"
    assert query["received_at"] == "2027-01-04T09:00:00+09:00"
    assert query["mynaportal_procedure_id"] == "sandbox-ch-01"
    assert query["authorization"] == "Bearer connector"
    (told,) = connected.ledger("status")
    assert (told["receipt_no"], told["sequence"], told["code"]) == (receipt_no, 0, "10")
    (row,) = await rows(connected.database)
    assert row["outcome"] == "received"
    assert row["confirmed_at"] is not None


@pytest.mark.runbook("procedures")
async def test_nothing_is_told_while_procedures_does_not_acknowledge(connected: Any) -> None:
    await connected.files(PACKAGE)
    await connected.poller.poll()
    connected.door.status = 503

    assert await connected.poller.carry() == 0
    assert connected.ledger("status") == []
    assert await connected.poller.carry() == 0, "it is not due before its pause has passed"
    assert len(connected.door.calls) == 1

    connected.door.status = 201
    connected.clock.advance(BACK_OFF)
    assert await connected.poller.carry() == 1
    assert len(connected.ledger("status")) == 1


async def test_a_token_that_procedures_refuses_is_not_used_again(connected: Any) -> None:
    await connected.files(PACKAGE)
    await connected.poller.poll()
    connected.door.status = 401
    assert await connected.poller.carry() == 0

    connected.door.status = 201
    connected.clock.advance(BACK_OFF)
    assert await connected.poller.carry() == 1
    ((query, _),) = connected.door.kept.values()
    assert query["authorization"] == "Bearer connector-renewed"


async def test_a_kill_after_procedures_stored_it_repeats_with_the_same_key(connected: Any) -> None:
    await connected.files(PACKAGE)
    await connected.poller.poll()
    connected.door.hold = True
    attempt = asyncio.create_task(connected.poller.carry())
    await connected.door.holding.wait()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)

    connected.door.hold = False
    connected.clock.advance(BACK_OFF)

    assert await connected.poller.carry() == 1
    assert len(connected.door.calls) == 2
    assert len(set(connected.door.calls)) == len(connected.door.kept) == 1


async def test_a_kill_before_the_receipt_is_marked_tells_the_portal_the_same_again(connected: Any) -> None:
    await connected.files(PACKAGE)
    await connected.poller.poll()
    await connected.fault("drop_reply", path="/jokyo")

    assert await connected.poller.carry() == 0
    connected.clock.advance(BACK_OFF)
    assert await connected.poller.carry() == 1

    assert len(connected.door.calls) == 1, "procedures has it: it is not asked again"
    assert len(connected.ledger("status")) == 1
    assert len(connected.ledger("status_repeated")) == 1
    assert connected.ledger("status_conflict") == []


async def test_the_cursor_moves_with_what_was_kept_and_never_alone(connected: Any) -> None:
    first = await connected.files(PACKAGE)
    await connected.fault("drop_reply", path="/ichiran", count=2)  # a GET on a kept connection is asked again at once
    assert await connected.poller.poll() == 0
    assert await connected.poller.poll() == 0, "not due: it backs off"

    connected.clock.advance(BACK_OFF)
    second = await connected.files(PACKAGE + b"2")
    assert await connected.poller.poll() == 2
    assert [row["receipt_no"] for row in await rows(connected.database)] == [first, second]
    assert await connected.poller.poll() == 0
    assert len(await rows(connected.database)) == 2


async def test_a_corrected_package_is_another_request_under_the_same_number(connected: Any) -> None:
    receipt_no = await connected.files(PACKAGE)
    await connected.poller.poll()
    await connected.poller.carry()
    connected.clock.advance(timedelta(minutes=10))
    await connected.files_again(receipt_no)

    assert await connected.poller.poll() == 1
    assert await connected.poller.carry() == 1

    first, second = connected.door.kept.values()
    assert first[0]["receipt_no"] == second[0]["receipt_no"] == receipt_no
    assert first[1] == PACKAGE != second[1]
    assert len(connected.ledger("status")) == 1
    assert connected.ledger("status_conflict") == []


async def test_a_package_that_is_too_long_waits_for_a_person_and_holds_up_nobody(connected: Any) -> None:
    await connected.files(b"x" * (1024 * 1024 + 1))
    receipt_no = await connected.files(PACKAGE)
    await connected.poller.poll()

    assert await connected.poller.carry() == 1
    assert [query["receipt_no"] for query, _ in connected.door.kept.values()] == [receipt_no]
    assert [row["confirmed_at"] is None for row in await rows(connected.database)] == [True, False]


async def test_a_token_the_portal_no_longer_takes_is_renewed(connected: Any) -> None:
    await connected.poller.poll()
    connected.clock.advance(timedelta(hours=1))
    await connected.files(PACKAGE)

    assert await connected.poller.poll() == 1
    assert len(connected.ledger("login")) == 2
    assert len(connected.ledger("refused_token")) == 1


async def test_a_request_to_poll_is_heard_at_once_and_also_while_a_poll_runs(connected: Any) -> None:
    await connected.poller.poll()
    await connected.files(PACKAGE)
    assert await connected.poller.poll() == 0, "the next poll is minutes away"

    async with connected.database.begin() as session:
        await repository.poll_now(session, connected.poller.name, connected.clock.now())
    await connected.fault("slow", path="/ichiran", seconds=0.3)
    running = asyncio.create_task(connected.poller.poll())
    await asyncio.sleep(0.15)
    async with connected.database.begin() as session:
        await repository.poll_now(session, connected.poller.name, connected.clock.now())
    assert await running == 1

    await connected.files(PACKAGE + b"2")
    assert await connected.poller.poll() == 1, "the request that came meanwhile is not lost"


@pytest.mark.parametrize("workers", [3])
async def test_two_workers_do_not_carry_the_same_application_at_the_same_time(connected: Any, workers: int) -> None:
    for number in range(6):
        await connected.files(PACKAGE + bytes([number]))
    await connected.poller.poll()

    done = await asyncio.gather(*(connected.poller.carry() for _ in range(workers)))

    assert sum(done) == 6
    assert len(connected.door.calls) == len(set(connected.door.calls)) == 6
