"""Background work waits while callers wait, for a while, and never for ever."""

import asyncio
import os
from datetime import timedelta
from typing import Any, cast

import httpx
from structlog.testing import capture_logs

from town_kit.admission import Admission
from town_kit.asgi import Receive, Scope, Send
from town_kit.rush import CALM_SECONDS, LONGEST_SECONDS, SIGN_SECONDS, Rush
from town_kit.service import Job
from town_kit.worker import run_job


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_sign_holds_work_for_a_moment() -> None:
    clock = Clock()
    rush = Rush(clock)
    assert not rush.holds()
    rush.sign()
    assert rush.holds()
    clock.now += SIGN_SECONDS
    assert not rush.holds()


def test_a_rush_that_does_not_end_holds_work_for_a_minute_and_a_half_and_the_next_one_again() -> None:
    clock = Clock()
    rush = Rush(clock)
    held = 0.0
    while clock.now < 1000 + 2 * LONGEST_SECONDS:
        rush.sign()
        held += 0.125 if rush.holds() else 0
        clock.now += 0.125
    assert held == LONGEST_SECONDS

    clock.now += CALM_SECONDS + SIGN_SECONDS
    rush.sign()
    assert rush.holds()


def test_a_lull_shorter_than_calm_does_not_begin_another_rush() -> None:
    clock = Clock()
    rush = Rush(clock)
    rush.sign()
    assert rush.holds()
    while clock.now < 1000 + LONGEST_SECONDS:
        clock.now += CALM_SECONDS - 1
        rush.sign()
        rush.holds()
    rush.sign()
    assert not rush.holds()


def test_a_process_forked_later_tells_the_others() -> None:
    rush = Rush()
    if not (child := os.fork()):
        rush.sign()
        os._exit(0)
    os.waitpid(child, 0)
    assert rush.holds()


async def in_flight(requests: int, rush: Rush) -> list[int]:
    """So many requests at once; their statuses."""
    release = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    admission = Admission(slow, slots=64, kept=8, rush=rush)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=admission), base_url="http://town") as client:
        asked = [asyncio.create_task(client.get("/")) for _ in range(requests)]
        await asyncio.sleep(0.05)
        release.set()
        return [answer.status_code for answer in await asyncio.gather(*asked)]


async def test_a_process_says_so_from_a_quarter_of_its_slots_on() -> None:
    rush = Rush(Clock())
    assert await in_flight(14, rush) == [200] * 14
    assert not rush.holds()
    assert await in_flight(15, rush) == [200] * 15
    assert rush.holds()


async def test_no_job_begins_in_a_rush_and_all_do_after_it() -> None:
    clock, runs = Clock(), asyncio.Event()
    rush = Rush(clock)

    async def run() -> int:
        runs.set()
        return 0

    rush.sign()
    with capture_logs() as logs:
        task = asyncio.create_task(run_job(cast(Any, None), Job("ordinary", timedelta(hours=1), run), rush=rush))
        await asyncio.sleep(0.05)
        assert not runs.is_set()
        clock.now += SIGN_SECONDS
        await asyncio.wait_for(runs.wait(), 5)
        task.cancel()
    assert [line["event"] for line in logs] == ["work_is_held_back", "work_goes_on"]
