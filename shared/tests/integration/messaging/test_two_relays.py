"""F13: two relays at once, each losing its connection and so its lock: no event is lost, or told before its turn."""

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from town_kit.ids import new_id
from town_kit.messaging.event import decode
from town_kit.testing.auth import eventually
from town_kit.worker import keep_running

CHANGES = 8
OF_EACH = 25
HOLDER = """SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name = 'test.relay' AND datname = $1"""


@pytest.mark.timeout(240)
async def test_two_relays_that_lose_their_lock_again_and_again_lose_no_event(world: Any, postgres_server: Any) -> None:
    keys = [new_id() for _ in range(12)]
    administrator = await asyncpg.connect(postgres_server.admin_dsn)
    relays = [asyncio.create_task(keep_running(f"relay-{n}", lambda: world.relay().run())) for n in range(2)]
    ended = 0
    try:
        async with world.consuming():
            writing = asyncio.gather(*(world.paint(key, *["red"] * OF_EACH) for key in keys))
            for _ in range(CHANGES):
                await asyncio.sleep(0.3)
                ended += len(await administrator.fetch(HOLDER, world.urls.name))
                await world.paint(keys[0], "blue")
            await writing
            await eventually(lambda: settled(world, OF_EACH * len(keys) + CHANGES), within=60, every=0.1)
    finally:
        for task in relays:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await administrator.close()
    assert ended >= CHANGES // 2, "the lock was meant to change hands"
    for key in keys:
        wanted = list(range(1, OF_EACH + 1 + (CHANGES if key == keys[0] else 0)))
        assert [sequence for _, sequence, _ in await world.effects(key)] == wanted
    assert await out_of_order(world) == []


async def settled(world: Any, effects: int) -> bool:
    return await world.count("effects") >= effects and await world.count("outbox", "published_at IS NULL") == 0


async def out_of_order(world: Any) -> list[Any]:
    """Keys with an event before its turn; a repeat of what was told is in order."""
    done: dict[Any, int] = {}
    wrong = []
    for message in sorted(await world.messages(), key=lambda m: (m.partition, m.offset)):
        sequence = decode(message.key, message.headers).sequence
        if sequence > done.get(message.key, 0) + 1:
            wrong.append((message.key, sequence))
        done[message.key] = max(done.get(message.key, 0), sequence)
    return wrong
