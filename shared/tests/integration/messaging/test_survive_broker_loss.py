"""Apache Kafka killed and wiped under a running relay and consumer: nothing is lost, nothing is done twice."""

import asyncio
import sys
import time
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.messaging.event import decode
from town_kit.messaging.kafka_node import KafkaNode
from town_kit.testing.auth import eventually

from .conftest import LogUnderTest

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka"), pytest.mark.timeout(240)]

DELIVERED = 20  # events of each aggregate before the loss
BACKLOG = 10  # and while the broker is away
WITHIN_SECONDS = 120.0


@pytest.mark.parametrize("loss", ["killed", "wiped"])
async def test_a_broker_that_was_away_costs_no_event(
    kafka_node: KafkaNode, make_world: Any, topic: str, loss: str
) -> None:
    world = await make_world(LogUnderTest("kafka", kafka_node.bootstrap), topic)
    keys = [new_id() for _ in range(10)]
    async with world.database.running(), world.relaying(), world.consuming():
        for colour in ("red", "green"):
            for key in keys:
                await world.paint(key, colour)
        await eventually(lambda: effects(world, 20), within=30)
        await asyncio.to_thread(kafka_node.kill)
        if loss == "wiped":
            kafka_node.wipe()
        for key in keys:
            await world.paint(key, "blue")
        await asyncio.to_thread(kafka_node.start)
        for key in keys:
            await world.paint(key, "white")
        await eventually(lambda: effects(world, 40), within=60)
    for key in keys:
        assert [sequence for _, sequence, _ in await world.effects(key)] == [1, 2, 3, 4]


async def effects(world: Any, count: int) -> bool:
    return int(await world.count("effects")) >= count


async def test_a_wiped_broker_has_everything_again_within_two_minutes(
    kafka_node: KafkaNode, make_world: Any, topic: str
) -> None:
    world = await make_world(LogUnderTest("kafka", kafka_node.bootstrap), topic)
    keys = [new_id() for _ in range(50)]

    async def paint(times: int) -> None:
        await asyncio.gather(*(world.paint(key, *["red"] * times) for key in keys))

    async with world.database.running(), world.relaying(), world.consuming():
        await paint(DELIVERED)
        await eventually(lambda: effects(world, DELIVERED * len(keys)), within=60)
        await asyncio.to_thread(kafka_node.kill)
        kafka_node.wipe()
        await paint(BACKLOG)
        await asyncio.to_thread(kafka_node.start)
        back = time.monotonic()
        total = (DELIVERED + BACKLOG) * len(keys)
        await eventually(lambda: effects(world, total), within=WITHIN_SECONDS, every=0.1)
        done = time.monotonic() - back
        await eventually(lambda: unpublished(world, 0), within=WITHIN_SECONDS, every=0.1)
        again = time.monotonic() - back
    sys.stdout.write(f"{total} events: all had their effect after {done:.1f} s, all stood there after {again:.1f} s\n")
    assert again <= WITHIN_SECONDS
    stands = {(m.key, decode(m.key, m.headers).sequence) for m in await world.messages()}
    assert stands == {(str(key).encode(), n) for key in keys for n in range(1, DELIVERED + BACKLOG + 1)}
    for key in keys:
        assert [sequence for _, sequence, _ in await world.effects(key)] == list(range(1, DELIVERED + BACKLOG + 1))


async def unpublished(world: Any, count: int) -> bool:
    return int(await world.count("outbox", "published_at IS NULL")) == count
