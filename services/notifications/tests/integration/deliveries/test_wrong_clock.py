"""A worker whose clock is five minutes wrong, either way: nothing is sent twice, and nothing ends before it began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from town_kit.clock import FixedClock
from town_kit.ids import new_id
from town_kit.testing.auth import eventually
from town_kit.worker import work
from town_notifications.deliveries.domain import LEASE
from town_notifications.main import create_service

WRONG = timedelta(minutes=5)
BACKWARDS = "SELECT count(*) AS n FROM messages WHERE source_event_id = ANY(:events) AND ended_at < created_at"

pytestmark = pytest.mark.case("D-37")


async def test_a_clock_that_jumps_ahead_and_back_repeats_no_job(api: Any) -> None:
    """One worker, as its process runs it, lives in the future and then in the past."""
    clock = FixedClock(api.clock.now())
    tokens, events = [f"device-{new_id()}" for _ in range(3)], []
    for token in tokens:
        await api.register_device(token)

    async def heard() -> Any:
        events.append(await api.hear("approved"))
        return events[-1]

    def step(by: timedelta) -> None:
        clock.advance(by)
        api.clock.advance(by)

    async with working(create_service(api.service.settings, clock=clock)):
        for by in (timedelta(0), WRONG):
            step(by)
            now = await heard()
            await eventually(lambda now=now: delivered(api, [now]), within=30)
        api.outside.fault("fcm", kind="slow", count=len(tokens), path="messages:send", seconds=1.5)
        await heard()  # made in the future; the clock is set back while it is under way
        await eventually(lambda: under_way(api), within=30)
        step(-2 * WRONG)
        now = await heard()
        await eventually(lambda: delivered(api, [now]), within=30)
        step(2 * WRONG + LEASE)
        await eventually(lambda: delivered(api, events), within=30)
        await asyncio.sleep(1.5)  # whatever would be done again has its time now
    for token in tokens:
        ids = [entry["message"]["data"]["delivery_id"] for entry in api.outside.pushed(device=token)]
        assert len(ids) == len(set(ids)) == len(events)
    assert (await api.rows(BACKWARDS, events=events))[0].n == 0


@pytest.mark.parametrize("wrong", [WRONG, -WRONG], ids=["ahead", "behind"])
async def test_a_second_worker_with_a_wrong_clock_takes_nothing_that_is_under_way(api: Any, wrong: timedelta) -> None:
    """Two workers stand side by side while one is replaced; the clock of one of them is wrong."""
    token = f"device-{new_id()}"
    await api.register_device(token)
    api.clock.advance(-abs(wrong))
    await api.hear("approved")
    api.clock.advance(abs(wrong))
    api.outside.fault("fcm", kind="slow", count=1, path="messages:send", seconds=3.0)
    first = create_service(api.service.settings, clock=api.clock)
    other = create_service(api.service.settings, clock=FixedClock(api.clock.now() + wrong))
    ahead, behind = (first, other) if wrong < timedelta(0) else (other, first)
    async with working(behind):
        await asyncio.sleep(1.5)
        async with working(ahead):
            await eventually(lambda: pushed(api, token), within=30)
            await asyncio.sleep(1.5)
    assert len(api.outside.pushed(device=token)) == 1


@asynccontextmanager
async def working(service: Any) -> AsyncIterator[None]:
    """The whole worker of a service, as in its process."""
    running = asyncio.create_task(work(service))
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def delivered(api: Any, events: list[Any]) -> bool:
    rows = await api.rows("SELECT state FROM messages WHERE source_event_id = ANY(:events)", events=events)
    return len(rows) == len(events) and {row.state for row in rows} == {"delivered"}


async def under_way(api: Any) -> bool:
    return bool(await api.rows("SELECT 1 FROM deliveries WHERE state = 'sending'"))


async def pushed(api: Any, token: str) -> bool:
    return bool(await asyncio.to_thread(lambda: api.outside.pushed(device=token)))
