"""A log that does not answer holds up its own topics only: those in another zone's log are carried on."""

import asyncio
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.messaging import pglog
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Transport
from town_kit.settings import Zone
from town_kit.testing.auth import eventually

ELSEWHERE = "elsewhere.things"
NOBODY = "127.0.0.1:9"


@pytest.fixture
def dead(log: Any) -> Transport:
    """A log of the same kind where nobody listens."""
    return KafkaLog(NOBODY) if log.kind == "kafka" else pglog.PgLog(f"postgresql://nobody@{NOBODY}/nothing")


async def waiting(world: Any, count: int) -> bool:
    return bool(await world.count("outbox", "published_at IS NULL") == count)


async def test_a_dead_log_does_not_hold_up_another_zones(make_world: Any, log: Any, topic: str, dead: Any) -> None:
    world = await make_world(log, topic)
    transport = log.connect()
    await transport.create_topics([TopicSpec(topic)])
    here, there = world.event, type("Elsewhere", (world.event,), {"TOPIC": ELSEWHERE, "__module__": __name__})
    two_zones = {
        "log_of": lambda name: Zone.INTERNET if name == ELSEWHERE else Zone.LGWAN,
        "connect": lambda zone: dead if zone is Zone.INTERNET else log.connect(),
        "topics": (topic, ELSEWHERE),
    }
    key, colours = new_id(), ["red", "green", "blue", "white"]
    async with world.database.running(), world.relaying(**two_zones):
        for number, colour in enumerate(colours, start=1):
            world.event = there
            await world.paint(new_id(), "lost")
            world.event = here
            await world.paint(key, colour)
            await eventually(lambda now=number: waiting(world, now), within=15)
            await asyncio.sleep(0.3)
    assert [message.value for message in await world.messages()] == [b'{"colour":"%b"}' % c.encode() for c in colours]
    await transport.delete_topics([topic])
    await transport.close()
