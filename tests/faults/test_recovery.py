"""R-03: PostgreSQL dies under load; the town refuses with a time to come again, and soon writes on."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.testing import RunningTown

from .test_kills import PATH, applications_of, body, logged, quiet, signed_in

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]

CLIENTS = 8
USUAL_SECONDS = 3.0
RESUMED_WITHIN = 10.0


@dataclass
class Tried:
    """What the clients saw.

    Attributes:
        acknowledged: application → when.
        without_time: statuses of 5xx that did not say when to come again.
        refused: answers 503.
        unanswered: tries without an answer.
    """

    acknowledged: dict[UUID, float] = field(default_factory=dict)
    without_time: list[int] = field(default_factory=list)
    refused: int = 0
    unanswered: int = 0


async def one_client(url: str, resident: people.SignedIn, tried: Tried, stop: asyncio.Event) -> None:
    """Files one application after the other; each is sent with its key until there is an answer."""
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=30)) as client:
        while not stop.is_set():
            headers = resident.headers
            while not await file_once(client, headers, tried):
                await asyncio.sleep(0.1)


async def file_once(client: aiohttp.ClientSession, headers: dict[str, str], tried: Tried) -> bool:
    """One try; True when it was acknowledged."""
    try:
        async with client.post(PATH, json=body(), headers=headers) as answer:
            if answer.status < 300:
                tried.acknowledged[UUID((await answer.json())["id"])] = time.monotonic()
                return True
            assert answer.status in {409, 429} or answer.status >= 500, (answer.status, await answer.text())
            if answer.status >= 500 and "Retry-After" not in answer.headers:
                tried.without_time.append(answer.status)
            tried.refused += 1
    except (aiohttp.ClientError, TimeoutError):
        tried.unanswered += 1
    return False


def kill_all(data: Path) -> None:
    """SIGKILL the server and every process it has started, at once."""
    server = int((data / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    for pid in (server, *map(int, children)):
        os.kill(pid, signal.SIGKILL)


async def accepts(town: RunningTown, since: float) -> float:
    """When the server took a connection again, in seconds."""
    while True:
        try:
            await (await town.connect("procedures")).close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - since


async def test_writes_resume_within_ten_seconds_of_a_killed_database(running_town: RunningTown) -> None:
    resident = await signed_in(running_town)
    before = await applications_of(running_town, resident)
    tried, stop = Tried(), asyncio.Event()
    url = running_town.town.public_url
    clients = [asyncio.create_task(one_client(url, resident, tried, stop)) for _ in range(CLIENTS)]
    await asyncio.sleep(USUAL_SECONDS)
    usual = len(tried.acknowledged)

    (data,) = running_town.place.postgres.glob("**/postmaster.pid")
    kill_all(data.parent)
    killed = time.monotonic()
    back = await accepts(running_town, killed)

    async def resumed() -> float:
        return min((at for at in tried.acknowledged.values() if at > killed + back), default=0.0)

    first = await eventually(resumed, within=60, every=0.02) - killed - back
    await asyncio.sleep(USUAL_SECONDS)
    stop.set()
    await asyncio.gather(*clients)

    print(
        f"PostgreSQL accepted connections {back:.2f} s after its kill; the first write came {first:.2f} s later;"
        f" {usual} writes before, {len(tried.acknowledged) - usual} since, {tried.refused} refused with a time to come"
        f" again, {tried.unanswered} without an answer"
    )
    assert tried.without_time == []
    assert first <= RESUMED_WITHIN
    ours = set(tried.acknowledged)
    assert await applications_of(running_town, resident) - before == ours, "lost, or made twice"
    await quiet(running_town)
    wanted = sorted((application, "application.submitted") for application in ours)

    async def all_told() -> bool:
        return len(await messages(running_town, ours)) >= len(wanted)

    await eventually(all_told, within=60, every=0.5)
    await quiet(running_town)
    assert await messages(running_town, ours) == wanted
    stands = await logged(running_town)
    assert [application for application in ours if 1 not in stands.get(application, [])] == []


async def messages(town: RunningTown, applications: set[UUID]) -> list[tuple[UUID, str]]:
    """What was told of these applications."""
    query = "SELECT application_id, kind FROM messages WHERE application_id = ANY($1)"
    return sorted(await town.rows("notifications", query, list(applications)))
