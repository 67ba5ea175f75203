"""A worker that is told to stop lets what it has begun come to its end."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest

from town_kit import worker
from town_kit.service import Job


class Sending:
    """A job that has sent something and has yet to say so."""

    def __init__(self, answered: asyncio.Event) -> None:
        self.answered = answered
        self.begun = asyncio.Event()
        self.marked = self.cut = 0

    async def run(self) -> int:
        self.begun.set()
        try:
            await self.answered.wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise
        self.marked += 1
        return 1


async def stopped_while(sending: Sending) -> "asyncio.Task[None]":
    job = Job("sending", timedelta(hours=1), sending.run)
    task = asyncio.create_task(worker.run_job(cast(Any, None), job))
    await sending.begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    return task


async def test_what_was_sent_is_marked_before_the_worker_ends() -> None:
    sending = Sending(asyncio.Event())
    task = await stopped_while(sending)
    assert not task.done()
    sending.answered.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (sending.marked, sending.cut) == (1, 0)


async def test_a_counterpart_that_never_answers_does_not_hold_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FINISH_SECONDS", 0.01)
    sending = Sending(asyncio.Event())
    with pytest.raises(asyncio.CancelledError):
        await (await stopped_while(sending))
    assert (sending.marked, sending.cut) == (0, 1)
