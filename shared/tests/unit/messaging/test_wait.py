"""Waiting for an event: a cancellation is never forgotten."""

import asyncio

import pytest

from town_kit.messaging.notify import wait


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancellation_about_when_the_event_is_set_still_cancels(turns: int) -> None:
    event = asyncio.Event()
    task = asyncio.create_task(wait(event, 60))
    await asyncio.sleep(0.01)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert await task


async def test_it_tells_whether_the_event_was_set() -> None:
    event = asyncio.Event()
    assert not await wait(event, 0.01)
    event.set()
    assert await wait(event, 60)
    assert not event.is_set()
