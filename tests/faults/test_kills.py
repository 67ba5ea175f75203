"""D-36: whoever is killed, whenever: what was acknowledged stands there once, is told once, and in its order."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.faults import burning, counting
from tests.faults.findings import WRONG
from tests.faults.injections import end_postgres
from tests.faults.ledger import Book
from tests.faults.load import sample
from tests.faults.town import Ground, loaded, looked_into, reachable

from town_kit.ids import new_id
from town_kit.messaging.event import decode
from town_kit.messaging.pglog import PgLog
from town_kit.settings import Zone
from town_kit.testing import eventually
from town_onebox import testing
from town_onebox.journey import people
from town_onebox.testing import RunningTown

pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(420),
    pytest.mark.xdist_group("journey"),
    pytest.mark.case("D-36"),
]

PATH = "/procedures/v1/applications"
TOPIC = "procedures.applications"
ACKNOWLEDGED = 2_000
RATE = 45.0
KILLED = ("web-1", "web-2", "worker", "postgres")
SECONDS = 120.0
QUIET_WITHIN = 180.0
ONE_BOX = ("public", "vault")


def body() -> dict[str, Any]:
    return {"procedure_code": "LC-01", "answers": sample()}


async def signed_in(town: RunningTown) -> people.SignedIn:
    """A resident no channel reaches: her messages stand in the inbox and on the day's list."""
    async with httpx.AsyncClient(base_url=town.town.public_url, trust_env=False) as client:
        return await people.resident(town.town, client, "taro")


async def post(town: RunningTown, headers: dict[str, str]) -> httpx.Response:
    """One request over a connection of its own."""
    async with httpx.AsyncClient(base_url=town.town.public_url, trust_env=False, timeout=20) as client:
        return await client.post(PATH, json=body(), headers=headers)


async def again(town: RunningTown, headers: dict[str, str]) -> httpx.Response:
    """The client's retry with the same key, until the town has an answer."""

    async def answered() -> httpx.Response | None:
        try:
            answer = await post(town, headers)
        except httpx.TransportError:
            return None
        return None if answer.status_code in {409, 503} else answer

    found: httpx.Response = await eventually(answered, within=20)
    return found


async def applications_of(town: RunningTown, resident: people.SignedIn) -> set[UUID]:
    query = "SELECT id FROM applications WHERE filed_by = $1"
    return set(await town.rows("procedures", query, UUID(resident.person_id)))


async def told(town: RunningTown, application: UUID) -> list[str]:
    query = "SELECT kind FROM messages WHERE application_id = $1 ORDER BY position"
    return await town.rows("notifications", query, application)


async def logged(town: RunningTown) -> dict[UUID, list[int]]:
    """The sequences of every application's events, in the order in which the log holds them."""
    log = PgLog(town.town.log_address(Zone.INTERNET))
    found: dict[UUID, list[int]] = {}
    try:
        reader = await log.reader(f"test-{new_id()}", [TOPIC])
        while messages := await reader.fetch(500, timedelta(milliseconds=300)):
            for one in messages:
                envelope = decode(one.key, one.headers)
                found.setdefault(envelope.key, []).append(envelope.sequence)
            await reader.commit({(one.topic, one.partition): one.offset + 1 for one in messages})
        await reader.close()
    finally:
        await log.close()
    return found


@pytest.mark.parametrize(
    ("failpoint", "replayed"), [("after-commit-before-reply", "true"), ("before-commit", None)], ids=["after", "before"]
)
async def test_an_answer_lost_with_its_process_is_given_to_the_retry_and_nothing_happens_twice(
    running_town: RunningTown, failpoint: str, replayed: str | None
) -> None:
    resident = await signed_in(running_town)
    before = await applications_of(running_town, resident)
    headers = resident.headers
    armed = running_town.arm(f"{failpoint}.application.submit")

    with pytest.raises(httpx.TransportError):
        await post(running_town, headers)
    assert not armed.exists()
    answer = await again(running_town, headers)

    assert answer.status_code == 201, answer.text
    assert answer.headers.get("idempotency-replayed") == replayed
    application = UUID(answer.json()["id"])
    assert await applications_of(running_town, resident) - before == {application}

    async def is_told() -> bool:
        return bool(await told(running_town, application))

    await eventually(is_told, within=20)
    assert await told(running_town, application) == ["application.submitted"]
    assert (await logged(running_town))[application].count(1) == 1


async def test_a_relay_killed_between_produce_and_mark_sends_twice_and_the_message_is_written_once(
    running_town: RunningTown,
) -> None:
    resident = await signed_in(running_town)
    await quiet(running_town)
    armed = running_town.arm("after-produce-before-mark.procedures")
    application = UUID((await post(running_town, resident.headers)).json()["id"])

    async def is_marked() -> bool:
        query = "SELECT bool_and(published_at IS NOT NULL) AND count(*) = 2 FROM outbox WHERE topic = $1 AND key = $2"
        return await running_town.rows("procedures", query, TOPIC, application) == [True]

    await eventually(is_marked, within=30)
    assert not armed.exists()

    async def is_told() -> bool:
        return bool(await told(running_town, application))

    await eventually(is_told, within=20)
    await quiet(running_town)
    sequences = (await logged(running_town))[application]
    assert sequences.count(1) == 2, "the kill was meant to hit between produce and mark"
    assert await told(running_town, application) == ["application.submitted"]


async def quiet(town: RunningTown) -> None:
    """Wait until no event is under way and no audit record waits for its chain."""

    async def nothing_left() -> bool:
        for database in ("identity", "procedures", "notifications", "connector", "standardization"):
            query = (
                "SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL) + (SELECT count(*) FROM audit_pending)"
            )
            if await town.rows(database, query) != [0]:
                return False
        return True

    await eventually(nothing_left, within=60, every=0.1)


async def test_two_thousand_acknowledged_through_four_kills_are_neither_lost_nor_doubled_nor_out_of_order() -> None:
    """The count of ``make faults``, small: the same load, ledger and count, on one box with its log in PostgreSQL."""
    with testing.directory() as place:
        burning.prepare(place)
        town = await asyncio.to_thread(RunningTown, place)
        ground = Ground("pglog", place.parent, town, None, {}, Book(place.parent / "ledger.jsonl"), doors=ONE_BOX)
        try:
            await reachable(ground)
            async with loaded(ground, RATE):
                for number, part in enumerate(random.sample(KILLED, len(KILLED)), 1):
                    await acknowledged(ground.book, number * ACKNOWLEDGED // (len(KILLED) + 1))
                    await killed(ground, part)
                await acknowledged(ground.book, ACKNOWLEDGED)
            where = looked_into(ground)
            left = await counting.quiet(where, print, seconds=3.0, within=QUIET_WITHIN, patient=False)
            findings = await counting.count(where, ground.book.read(), left)
            serials = await town.rows("procedures", "SELECT receipt_serial FROM applications ORDER BY 1")
        finally:
            code = await asyncio.to_thread(town.stop)

    assert [finding for finding in findings if finding.kind in WRONG] == []
    assert sum(1 for _ in ground.book.acknowledged()) >= ACKNOWLEDGED
    assert serials == list(range(1, len(serials) + 1)), "the 収受番号 has a gap"
    assert code == 0


async def acknowledged(book: Book, wanted: int) -> None:
    """Wait until the town has promised so many operations."""

    async def enough() -> bool:
        return sum(1 for _ in book.read().acknowledged()) >= wanted

    await eventually(enough, within=SECONDS, every=0.2)


async def killed(ground: Ground, part: str) -> None:
    """SIGKILL one part of the box, or every process of its PostgreSQL."""
    if part == "postgres":
        await end_postgres(ground, 0)
        return
    while not ground.town.kill(part):
        await asyncio.sleep(0.005)
