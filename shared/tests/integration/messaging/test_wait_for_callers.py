"""In a rush relay and consumers begin nothing; after it everything goes its way, in order."""

import asyncio
import time
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.rush import SIGN_SECONDS, Rush
from town_kit.testing.auth import eventually

JOINED_SECONDS = 30.0  # a new group in Apache Kafka first agrees on who reads what


class Stopped:
    """A clock that stands until it is let go."""

    def __init__(self) -> None:
        self.behind = time.monotonic()
        self.stands = True

    def __call__(self) -> float:
        return self.behind if self.stands else time.monotonic() + SIGN_SECONDS


@pytest.mark.parametrize("held", ["relay", "consumer"])
async def test_events_wait_for_callers(world: Any, held: str) -> None:
    clock, key = Stopped(), new_id()
    rush = Rush(clock)
    rush.sign()
    mine = {"relay": Rush(), "consumer": Rush(), held: rush}
    async with world.relaying(rush=mine["relay"]), world.consuming(rush=mine["consumer"]):
        await world.paint(key, "red", "green")
        await asyncio.sleep(1)
        assert await world.count("outbox", "published_at IS NULL") == (2 if held == "relay" else 0)
        assert await world.count("effects") == 0
        clock.stands = False
        await eventually(lambda: world.has(key, 2), within=JOINED_SECONDS)
    assert await world.seen(key) == [(1, "red"), (2, "green")]
