"""D-36: whoever is killed, whenever: what was acknowledged stands there once, is told once, and in its order."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import httpx
import pytest

from town_kit.ids import new_id
from town_kit.messaging.event import decode
from town_kit.messaging.pglog import PgLog
from town_kit.settings import Zone
from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.testing import RunningTown

from .findings import in_order
from .load import sample

pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(420),
    pytest.mark.xdist_group("journey"),
    pytest.mark.case("D-36"),
]

PATH = "/procedures/v1/applications"
TOPIC = "procedures.applications"
APPLICATIONS = 2_000
WITHDRAWN_EACH = 4
CONNECTIONS = 12
KILLED = ("web-1", "web-2", "worker")
SECONDS = 120.0
TOLD = ["application.submitted", "application.withdrawn"]


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
    query = "SELECT kind FROM messages WHERE application_id = $1 ORDER BY created_at, id"
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


@dataclass
class ClientLedger:
    """What the client knows: whatever it was told, in the order in which it asked."""

    acknowledged: list[UUID] = field(default_factory=list)
    withdrawn: set[UUID] = field(default_factory=set)
    lost_answers: int = 0
    killed: list[str] = field(default_factory=list)


async def insist(client: aiohttp.ClientSession, ledger: ClientLedger, path: str, headers: Any, content: Any) -> Any:
    """Send until there is an answer, always with the same key; a refusal is the test's own mistake."""
    while True:
        try:
            async with client.post(path, json=content, headers=headers) as answer:
                if answer.status < 300:
                    return await answer.json()
                assert answer.status in {409, 429, 503}, (path, answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            ledger.lost_answers += 1
        await asyncio.sleep(0.05)


async def file_and_withdraw(town: RunningTown, resident: people.SignedIn, ledger: ClientLedger) -> None:
    """``APPLICATIONS`` are filed, each fourth is withdrawn; meanwhile one process after the other is killed."""
    numbers = iter(range(APPLICATIONS))
    content = body()

    async def one(client: aiohttp.ClientSession, number: int) -> None:
        seen = await insist(client, ledger, PATH, resident.headers, content)
        ledger.acknowledged.append(UUID(seen["id"]))
        if number % WITHDRAWN_EACH == 0:
            headers = {**resident.headers, "If-Match": f'"{seen["version"]}"'}
            await insist(client, ledger, f"{PATH}/{seen['id']}/withdraw", headers, None)
            ledger.withdrawn.add(UUID(seen["id"]))

    async def worker() -> None:
        connector = aiohttp.TCPConnector(limit=1)  # a connection of one's own: another web process may take each
        async with aiohttp.ClientSession(
            town.town.public_url, connector=connector, timeout=aiohttp.ClientTimeout(total=20)
        ) as client:
            for number in numbers:
                await one(client, number)

    async def killer() -> None:
        parts = random.sample(KILLED, len(KILLED))
        moments = sorted(random.sample(range(APPLICATIONS // 20, APPLICATIONS * 9 // 10), len(parts)))
        for part, moment in zip(parts, moments, strict=True):
            while len(ledger.acknowledged) < moment or not town.kill(part):
                await asyncio.sleep(0.005)
            ledger.killed.append(part)

    await asyncio.gather(killer(), *(worker() for _ in range(CONNECTIONS)))


async def test_two_thousand_applications_through_three_kills_are_neither_lost_nor_doubled_nor_out_of_order(
    running_town: RunningTown,
) -> None:
    began = time.monotonic()
    resident = await signed_in(running_town)
    before = await applications_of(running_town, resident)
    ledger = ClientLedger()

    await file_and_withdraw(running_town, resident, ledger)
    ours = set(ledger.acknowledged)

    async def effects() -> Counter[tuple[UUID, str]]:
        rows = await running_town.rows("notifications", "SELECT application_id, kind FROM messages")
        return Counter((application, kind) for application, kind in rows if application in ours)

    wanted = {(a, "application.submitted") for a in ours} | {(a, "application.withdrawn") for a in ledger.withdrawn}

    async def all_done() -> bool:
        return set(await effects()) >= wanted

    await eventually(all_done, within=SECONDS - (time.monotonic() - began), every=0.5)
    await quiet(running_town)

    assert sorted(ledger.killed) == sorted(KILLED)
    assert len(ours) == len(ledger.acknowledged) == APPLICATIONS
    assert len(ledger.withdrawn) == APPLICATIONS // WITHDRAWN_EACH
    assert await applications_of(running_town, resident) - before == ours, "lost, or made twice"
    assert await effects() == Counter(wanted), "told too seldom, or twice"
    assert await out_of_order(running_town, ours) == []
    for database in ("procedures", "notifications", "standardization", "connector"):
        for table in ("dead_letters", "parked_events"):
            assert await running_town.rows(database, f"SELECT count(*) FROM {table}") == [0], (database, table)
    serials = await running_town.rows("procedures", "SELECT receipt_serial FROM applications ORDER BY 1")
    assert serials == list(range(1, len(serials) + 1)), "the 収受番号 has a gap"


async def out_of_order(town: RunningTown, ours: set[UUID]) -> list[UUID]:
    """Applications whose events stand wrong in the log, repeats left out, or whose messages came in the wrong order."""
    rows = await town.rows("procedures", "SELECT key, max(sequence) FROM outbox WHERE topic = $1 GROUP BY key", TOPIC)
    last = dict(rows)
    wrong = []
    for application, sequences in (await logged(town)).items():
        if not in_order(sequences) or max(sequences, default=0) != last[application]:
            wrong.append(application)
    query = "SELECT application_id, array_agg(kind ORDER BY created_at, id) FROM messages GROUP BY application_id"
    for application, kinds in await town.rows("notifications", query):
        if application in ours and kinds not in (TOLD[:1], TOLD):
            wrong.append(application)
    return wrong
