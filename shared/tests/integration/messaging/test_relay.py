"""The relay loses nothing, keeps the order of each aggregate, and survives kills, twins and a lost log."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from town_kit.ids import new_id
from town_kit.messaging import notify
from town_kit.messaging import relay as relay_module
from town_kit.messaging.event import decode
from town_kit.messaging.relay import replay
from town_kit.messaging.topics import TopicSpec
from town_kit.testing.auth import eventually

RELAY = """
import asyncio, sys
from town_kit.db import Database
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.pglog import PgLog
from town_kit.messaging.relay import Relay
from town_kit.settings import Zone

url, kind, address, topic = sys.argv[1:]
asyncio.run(Relay(
    database=Database(url), service="test", source="urn:jp:municipality:174611:test", log_of=lambda _: Zone.LGWAN,
    connect=lambda _: (KafkaLog if kind == "kafka" else PgLog)(address), topics=(topic,),
).run())
"""


async def published(world: Any) -> bool:
    return await world.count("outbox", "published_at IS NULL") == 0


async def sequences(world: Any) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for message in sorted(await world.messages(), key=lambda m: (m.partition, m.offset)):
        found.setdefault(message.key, []).append(decode(message.key, message.headers).sequence)
    return found


async def test_eight_writers_at_once_lose_nothing_and_keep_each_order(world: Any) -> None:
    keys = [new_id() for _ in range(24)]

    async def write(mine: list[Any]) -> None:
        for _ in range(10):
            for key in mine:
                await world.paint(key, "red")

    async with world.relaying():
        await asyncio.gather(*(write(keys[n::8]) for n in range(8)))
        await eventually(lambda: published(world), within=20)
    found = await sequences(world)
    assert found == {str(key).encode(): list(range(1, 11)) for key in keys}


async def test_marks_say_where_each_event_stands(world: Any) -> None:
    key = new_id()
    await world.paint(key, "red", "green")
    async with world.relaying():
        await eventually(lambda: published(world))
    placed = {(message.partition, message.offset) for message in await world.messages()}
    connection = await asyncpg.connect(world.urls.app_dsn)
    marks = await connection.fetch("SELECT log_partition, log_offset FROM outbox")
    await connection.close()
    assert {tuple(row) for row in marks} == placed


async def test_what_is_rolled_back_is_never_published(world: Any) -> None:
    key = new_id()
    await world.paint(key, "red")
    with suppress(RuntimeError):
        async with world.database.begin() as session:
            await world.paint_in(session, key, "blue")
            raise RuntimeError
    async with world.database.begin() as session:
        await world.paint_in(session, key, "green")
        with suppress(RuntimeError):
            async with session.begin_nested():
                await world.paint_in(session, key, "black")
                raise RuntimeError
    async with world.relaying():
        await eventually(lambda: published(world))
    assert [message.value for message in await world.messages()] == [b'{"colour":"red"}', b'{"colour":"green"}']
    assert await sequences(world) == {str(key).encode(): [1, 2]}


async def test_of_two_relays_one_works_and_the_other_takes_over(world: Any) -> None:
    key = new_id()
    async with world.relaying():
        await world.paint(key, "red")
        await eventually(lambda: published(world))
        second = asyncio.create_task(world.relay().run())
        await asyncio.sleep(0.2)
    await world.paint(key, "green")
    await eventually(lambda: published(world))
    second.cancel()
    assert await sequences(world) == {str(key).encode(): [1, 2]}


@pytest.mark.case("D-36")
async def test_a_relay_killed_between_produce_and_mark_causes_one_effect(world: Any) -> None:
    key = new_id()
    await world.paint(key, "red", "green", "blue")
    url, log = world.urls.app_url, world.log
    command = [sys.executable, "-c", RELAY, url, log.kind, log.address, world.topic]
    environment = os.environ | {"TOWN_FAILPOINT": "after-produce-before-mark:kill"}
    killed = await asyncio.to_thread(subprocess.run, command, env=environment, timeout=60, check=False)
    assert killed.returncode == -9
    assert await world.count("outbox", "published_at IS NULL") == 3
    async with world.relaying(), world.consuming():
        await eventually(lambda: published(world))
        # A dead producer's messages come twice; each has one effect.
        await eventually(lambda: nothing_left(world, 3), within=20)
    assert len(await world.messages()) == 6
    assert [(sequence, colour) for _, sequence, colour in await world.effects(key)] == [
        (1, "red"),
        (2, "green"),
        (3, "blue"),
    ]


async def nothing_left(world: Any, effects: int) -> bool:
    return await world.count("effects") >= effects


@pytest.mark.runbook("イベントログ")
async def test_a_lost_log_is_made_again_and_gets_everything(world: Any) -> None:
    keys = [new_id() for _ in range(5)]
    for key in keys:
        await world.paint(key, "red", "green")
    transport = world.log.connect()
    async with world.relaying():
        await eventually(lambda: published(world))
    await transport.delete_topics([world.topic])
    await transport.close()
    await world.paint(keys[0], "blue")
    async with world.relaying():
        await eventually(lambda: all_stand(world, 11), within=20)
    found = await sequences(world)
    assert found == {str(key).encode(): [1, 2, 3] if key == keys[0] else [1, 2] for key in keys}


async def test_a_log_that_begins_anew_under_a_running_relay_gets_everything(world: Any) -> None:
    key = new_id()
    transport = world.log.connect()
    async with world.relaying():
        await world.paint(key, "red", "green")
        await eventually(lambda: published(world))
        await transport.delete_topics([world.topic])
        await eventually(lambda: made_again(world, transport))
        await world.paint(key, "blue")
        await eventually(lambda: all_stand(world, 3), within=30)
    await transport.close()
    assert set((await sequences(world))[str(key).encode()]) == {1, 2, 3}


async def test_a_log_lost_between_two_connections_gets_the_first_event_first(world: Any) -> None:
    key = new_id()
    await world.paint(key, "red", "green")
    connection = await asyncpg.connect(world.urls.app_dsn)
    try:
        await connection.execute("SELECT set_config('town.role', 'service', false)")
        before, after = world.relay(), world.relay()
        await eventually(lambda: carried(before, connection), within=20)
        after._highest, after._seeded = (
            dict(before._highest),
            True,
        )  # it knows what was acknowledged, and is not connected
        await before._disconnect()
        transport = world.log.connect()
        await transport.delete_topics([world.topic])
        await transport.close()
        await world.paint(key, "blue")
        await eventually(lambda: carried(after, connection), within=20)
        await after._disconnect()
    finally:
        await connection.close()
    assert (await sequences(world))[str(key).encode()] == [1, 2, 3]


async def test_a_log_that_is_slow_to_tell_how_far_it_goes_holds_up_no_event(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    def connect(_: Any) -> Any:
        transport = world.log.connect()
        tell = transport.end_offsets

        async def slowly(topics: Any) -> Any:
            if await world.count("outbox"):  # not when the relay connects
                asked.set()
                await answer.wait()
            return await tell(topics)

        transport.end_offsets = slowly
        return transport

    monkeypatch.setattr(relay_module, "CARE_SECONDS", 0.1)
    async with world.relaying(connect=connect):
        await asyncio.sleep(0.5)  # connected
        await world.paint(new_id(), "red")
        await asyncio.wait_for(asked.wait(), 10)
        await world.paint(new_id(), "green")
        await eventually(lambda: published(world))
        assert not answer.is_set()
        answer.set()
        await world.paint(new_id(), "blue")
        await eventually(lambda: published(world))


async def carried(relay: Any, connection: Any) -> bool:
    """One step; whether nothing is left to be published."""
    await relay.step(connection)
    return bool(await connection.fetchval("SELECT count(*) = 0 FROM outbox WHERE published_at IS NULL"))


async def made_again(world: Any, transport: Any) -> bool:
    await transport.create_topics([TopicSpec(world.topic)])
    return bool(await transport.end_offsets([world.topic]))


async def all_stand(world: Any, count: int) -> bool:
    transport = world.log.connect()
    try:
        total = sum((await transport.end_offsets([world.topic])).values())
    finally:
        await transport.close()
    return await published(world) and total >= count


async def test_a_replay_goes_out_again_and_has_no_second_effect(world: Any) -> None:
    key = new_id()
    await world.paint(key, "red", "green")
    async with world.relaying(), world.consuming():
        await eventually(lambda: nothing_left(world, 2))
        connection = await asyncpg.connect(world.urls.app_dsn)
        await eventually(lambda: published(world))
        assert await replay(connection) == 2
        await connection.close()
        await eventually(lambda: all_stand(world, 4), within=10)
        await world.paint(key, "blue")
        await eventually(lambda: nothing_left(world, 3))
    assert [sequence for _, sequence, _ in await world.effects(key)] == [1, 2, 3]


async def test_published_events_are_kept_for_their_time_and_then_removed(world: Any) -> None:
    await world.paint(new_id(), "red", "green")
    relay = world.relay()
    connection = await relay._open()
    assert await relay.step(connection) == 2
    assert await relay.prune(connection) == 0
    await world.paint(new_id(), "waiting")
    assert await relay.prune(connection, timedelta(0)) == 2
    assert await world.count("outbox") == 1
    await relay._disconnect()
    await connection.close()


async def test_a_failing_topic_does_not_hold_up_another(make_world: Any, log: Any, topic: str) -> None:
    world = await make_world(log, topic)
    transport = log.connect()
    await transport.create_topics([TopicSpec(topic)])
    bad = type("Unknown", (world.event,), {"TOPIC": "nowhere.things", "__module__": __name__})
    zones = world.relay().log_of

    def log_of(name: str) -> Any:
        from town_kit.messaging.topics import UnknownTopic

        if name == "nowhere.things":
            raise UnknownTopic(name)
        return zones(name)

    async with world.database.running():
        good, world.event = world.event, bad
        await world.paint(new_id(), "red")
        world.event = good
        await world.paint(new_id(), "green")
        async with world.relaying(log_of=log_of):
            await eventually(lambda: waiting(world, 1))
        assert [message.value for message in await world.messages()] == [b'{"colour":"green"}']
    await transport.delete_topics([topic])
    await transport.close()


async def waiting(world: Any, count: int) -> bool:
    return await world.count("outbox", "published_at IS NULL") == count


async def test_a_process_announces_its_commits_at_most_once_in_five_milliseconds(world: Any) -> None:
    heard: list[str] = []
    connection = await asyncpg.connect(world.urls.app_dsn)
    await connection.add_listener(notify.CHANNEL, lambda *arguments: heard.append(arguments[3]))
    async with notify.Notifier(world.database, "test").running() as notifier:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(world.paint(new_id(), *["red"] * 10) for _ in range(4)))
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(0.2)
        assert 1 <= notifier.sent <= took / notify.SPACING_SECONDS + 2
    await connection.close()
    assert set(heard) == {"test"}
