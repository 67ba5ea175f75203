"""A producer that Apache Kafka will not serve any more is replaced within seconds, by the same relay."""

import json
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from aiokafka.producer.transaction_manager import PidAndEpoch
from structlog.testing import capture_logs

from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_kit.messaging.event import Envelope, encode_headers
from town_kit.settings import Zone
from town_kit.testing.auth import eventually

from .conftest import LogUnderTest, running

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka"), pytest.mark.timeout(120)]

WITHIN_SECONDS = 5.0
SOURCE = "urn:jp:municipality:174611:test"


@pytest.mark.parametrize("log", ["kafka"], indirect=True)
async def test_a_fatal_error_costs_one_producer_and_no_event(world: Any, log: LogUnderTest) -> None:
    """Another producer under the same identity fences ours: what we send next is refused for good."""
    keys, relay = [new_id() for _ in range(8)], world.relay()

    async def paint(colour: str) -> None:
        for key in keys:
            await world.paint(key, colour)

    async with running(relay.run()), world.consuming():
        await paint("red")
        await eventually(lambda: effects(world, keys, 1), within=30)
        ours = relay._logs[Zone.LGWAN][1]._producer
        await fence(log.address, world.topic, ours)
        with capture_logs() as told:
            await paint("green")
            began = time.monotonic()
            await eventually(lambda: effects(world, keys, 2), within=WITHIN_SECONDS)
            took = time.monotonic() - began
        theirs = relay._logs[Zone.LGWAN][1]._producer
        await paint("blue")
        await eventually(lambda: effects(world, keys, 3), within=WITHIN_SECONDS)
    assert [line["reason"] for line in told if line["event"] == "relay_waits_for_log"] == [
        f"Apache Kafka: {ProducerFenced.__name__}"
    ]
    assert theirs is not ours
    assert ours._sender.sender_task.done()
    assert took <= WITHIN_SECONDS
    for key in keys:
        assert [sequence for _, sequence, _ in await world.effects(key)] == [1, 2, 3]
    assert await world.count("dead_letters") + await world.count("parked_events") == 0


async def fence(address: str, topic: str, ours: AIOKafkaProducer) -> None:
    """Send one event to every partition as the same producer in its next life."""
    other = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True, acks="all")
    await other.start()
    identity = ours._txn_manager
    other._txn_manager._pid_and_epoch = PidAndEpoch(identity.producer_id, identity.producer_epoch + 1)
    for partition in await other.partitions_for(topic):
        key = new_id()
        envelope = Envelope(new_id(), "town.test.thing.painted.v1", key, 1, SystemClock().now())
        value = json.dumps({"colour": "white"}).encode()
        headers = list(encode_headers(envelope, SOURCE))
        await other.send_and_wait(topic, value, key=str(key).encode(), headers=headers, partition=partition)
    await other.stop()


async def effects(world: Any, keys: list[Any], count: int) -> bool:
    found = [len(await world.effects(key)) for key in keys]
    return min(found) >= count
