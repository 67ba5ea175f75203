"""Apache Kafka killed and wiped under a running relay and consumer: nothing is lost, nothing is done twice."""

import asyncio
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.messaging.kafka_node import KafkaNode
from town_kit.testing.auth import eventually

from .conftest import LogUnderTest

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka"), pytest.mark.timeout(240)]


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
