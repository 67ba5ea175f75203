"""One event, one effect: order, gaps, repeats, poison, and coming back to work."""

import asyncio
import shutil
import subprocess
import time
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from sqlalchemy import text

from town_kit import telemetry
from town_kit.ids import new_id
from town_kit.messaging import dead_letters
from town_kit.messaging.consumer import Consumer, Processing, read_log, read_once
from town_kit.messaging.event import Event
from town_kit.messaging.transport import Outgoing
from town_kit.testing.auth import eventually

JOINED_SECONDS = 30.0  # a new group in Apache Kafka first agrees on who reads what
DONE_SECONDS = 5.0


@pytest.mark.case("D-33")
@pytest.mark.runbook("1 件のイベントが処理できない")
async def test_a_poison_goes_to_the_dead_letters_and_other_keys_go_on(world: Any) -> None:
    running, before, after = new_id(), new_id(), new_id()
    rubbish = Outgoing(world.topic, b"\xff\x00", (("ce_id", b"\xff"),), b"\x00\x01\xfe")
    processing = world.processing()
    with telemetry.recording() as record:
        async with world.consuming(processing):
            await world.send(world.message(running, 1, "white"))
            await eventually(lambda: world.has(running, 1), within=JOINED_SECONDS)
            await world.send(world.message(before, 1, "red"), rubbish, world.message(after, 1, "green"))
            began = time.monotonic()
            await eventually(lambda: world.has(before, 1), within=DONE_SECONDS)
            await eventually(lambda: world.has(after, 1), within=DONE_SECONDS)
            assert time.monotonic() - began <= DONE_SECONDS
            await eventually(lambda: nothing_behind(record, processing.consumer.name))
        await processing.report()
        assert ({"consumer": processing.consumer.name}, 1) in record.metric("dead_letters")
    async with world.database.begin() as session:
        rows = (await session.execute(text("SELECT * FROM dead_letters"))).all()
    assert [(row.raw, row.key, row.reason) for row in rows] == [(b"\x00\x01\xfe", None, "not an event: ce_specversion")]
    [poison] = [found for found in await world.messages() if found.value == rubbish.value]
    assert [(row.log_partition, row.log_offset) for row in rows] == [(poison.partition, poison.offset)]


async def nothing_behind(record: Any, consumer: str) -> bool:
    return ({"consumer": consumer}, 0) in record.metric("consumer_lag")


@pytest.mark.case("D-34")
async def test_events_that_come_as_one_three_two_are_done_in_order(world: Any) -> None:
    key, other = new_id(), new_id()
    async with world.consuming():
        await world.send(world.message(key, 1, "red"), world.message(key, 3, "blue"))
        await eventually(lambda: world.parked(1), within=10)
        assert await world.seen(key) == [(1, "red")]
        await world.send(world.message(other, 1, "white"), world.message(key, 2, "green"))
        await eventually(lambda: world.has(key, 3), within=10)
    assert await world.seen(key) == [(1, "red"), (2, "green"), (3, "blue")]
    assert await world.count("parked_events") == 0


async def test_a_gap_within_one_batch_needs_no_parking(world: Any) -> None:
    key = new_id()
    order = [(1, "a"), (4, "d"), (3, "c"), (2, "b")]
    await world.send(*(world.message(key, sequence, colour) for sequence, colour in order))
    async with world.consuming():
        await eventually(lambda: world.has(key, 4), within=10)
    assert await world.seen(key) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


@pytest.mark.case("D-35")
async def test_a_thousand_events_read_again_have_no_new_effect(world: Any) -> None:
    keys = [new_id() for _ in range(50)]
    await world.send(*(world.message(key, n, "red") for n in range(1, 21) for key in keys))
    processing = world.processing()
    async with world.consuming(processing):
        await eventually(lambda: total(world, 1000), within=30)
    again = world.consumer()
    reset = Consumer(name=again.name, service="test", handlers=again.handlers)
    transport = world.log.connect()
    reader = await transport.reader(f"{again.name}.reset", [world.topic])  # a new group: offsets from the beginning
    read = 0
    while read < 1000:
        read += await read_once(Processing(world.database, reset), reader)
    await reader.close()
    await transport.close()
    assert read == 1000
    assert await world.count("effects") == 1000
    assert await world.count("dead_letters") + await world.count("parked_events") == 0


async def total(world: Any, count: int) -> bool:
    return await world.count("effects") >= count


async def test_a_poison_in_a_batch_undoes_no_other_event(world: Any) -> None:
    key, other = new_id(), new_id()
    await world.send(
        world.message(other, 1, "red"),
        world.message(key, 1, "forbidden"),  # the database refuses it
        world.message(key, 2, "green"),
        world.message(other, 2, "blue"),
    )
    async with world.consuming():
        await eventually(lambda: world.has(other, 2), within=10)
        await eventually(lambda: world.parked(1))
    assert await world.seen(other) == [(1, "red"), (2, "blue")]
    assert await world.seen(key) == []
    letters = await dead_letters.list_open(world.database)
    assert [(letter.key, letter.sequence, letter.reason) for letter in letters] == [(key, 1, "3 times IntegrityError")]


async def test_a_retried_letter_lets_those_behind_it_follow_in_order(world: Any) -> None:
    key, processing = new_id(), world.processing()
    world.trouble["red"] = ValueError("not yet understood")
    async with world.consuming(processing):
        await world.send(*(world.message(key, n, colour) for n, colour in enumerate(["red", "green", "blue"], 1)))
        await eventually(lambda: world.parked(2), within=10)
        letter = (await dead_letters.list_open(world.database))[0]
        with pytest.raises(dead_letters.StillDead):
            await dead_letters.retry(processing, letter.id)
        assert [left.id for left in await dead_letters.list_open(world.database)] == [letter.id]
        world.trouble.clear()
        await dead_letters.retry(processing, letter.id)
    assert await world.seen(key) == [(1, "red"), (2, "green"), (3, "blue")]
    assert await dead_letters.list_open(world.database) == []
    with pytest.raises(dead_letters.NoSuchLetter):
        await dead_letters.retry(processing, letter.id)


async def test_a_discarded_letter_has_no_effect_and_frees_those_behind_it(world: Any) -> None:
    key, processing = new_id(), world.processing()
    async with world.consuming(processing):
        await world.send(world.message(key, 1, "forbidden"), world.message(key, 2, "green"))
        await eventually(lambda: world.parked(1), within=10)
        letter = (await dead_letters.list_open(world.database))[0]
        await dead_letters.discard(processing, letter.id, "entered twice at the counter")
    assert await world.seen(key) == [(2, "green")]
    assert await world.count("dead_letters", "settlement = 'discarded: entered twice at the counter'") == 1


async def test_an_event_of_an_unread_type_only_moves_the_cursor(world: Any) -> None:
    key = new_id()
    other = world.message(key, 1, "red")
    headers = tuple((k, b"town.test.thing.sold.v1" if k == "ce_type" else v) for k, v in other.headers)
    await world.send(Outgoing(world.topic, other.key, headers, b"{}"), world.message(key, 2, "green"))
    async with world.consuming():
        await eventually(lambda: world.has(key, 1), within=10)
    assert await world.seen(key) == [(2, "green")]


async def test_an_unreadable_body_is_poison_and_its_reason_holds_none_of_it(world: Any) -> None:
    key = new_id()
    good = world.message(key, 1, "red")
    async with world.consuming():
        await world.send(Outgoing(world.topic, good.key, good.headers, b'{"colour": 123456789018}'))
        await eventually(lambda: letters(world, 1), within=10)
    letter = (await dead_letters.list_open(world.database))[0]
    assert letter.reason == "unreadable body: /colour string_type"


async def letters(world: Any, count: int) -> bool:
    return await world.count("dead_letters") == count


async def test_a_snapshot_sets_the_cursor_of_a_consumer_that_comes_late(world: Any) -> None:
    key = new_id()
    async with world.consuming():
        await world.send(world.message(key, 6, "old"))  # one to five are no longer kept
        await eventually(lambda: world.parked(1), within=10)
        await world.send(world.message(key, 7, "whole", snapshot=True), world.message(key, 8, "next"))
        await eventually(lambda: world.has(key, 2), within=10)
    assert await world.seen(key) == [(7, "whole"), (8, "next")]
    assert await world.count("parked_events") == 0


async def test_a_repeat_of_a_message_has_one_effect(world: Any) -> None:
    key = new_id()
    one = world.message(key, 1, "red")
    async with world.consuming():
        await world.send(one, one)
        await world.send(one, world.message(key, 2, "green"))
        await eventually(lambda: world.has(key, 2), within=10)
    assert await world.seen(key) == [(1, "red"), (2, "green")]


async def test_two_consumers_of_one_name_do_each_event_once_between_them(world: Any) -> None:
    keys = [new_id() for _ in range(20)]
    async with world.consuming(), world.consuming():
        await world.send(*(world.message(key, n, "red") for n in range(1, 11) for key in keys))
        await eventually(lambda: total(world, 200), within=20)
    assert await world.count("effects") == 200
    for key in keys:
        assert [sequence for sequence, _ in await world.seen(key)] == list(range(1, 11))


async def test_what_waits_for_more_than_a_minute_is_told(world: Any) -> None:
    key, processing = new_id(), world.processing()
    async with world.consuming(processing):
        await world.send(world.message(key, 2, "green"))
        await eventually(lambda: world.parked(1), within=10)
    async with world.database.begin() as session:
        await session.execute(text("UPDATE parked_events SET parked_at = now() - interval '2 minutes'"))
    with telemetry.recording() as record:
        await processing.report()
        oldest = (
            dict(record.metric("parked_oldest_age_seconds")[0][0]),
            record.metric("parked_oldest_age_seconds")[0][1],
        )
    assert oldest[0] == {"consumer": processing.consumer.name}
    assert oldest[1] > 60


async def test_the_trace_goes_on_from_the_writer_to_the_effect(world: Any) -> None:
    key = new_id()
    traces: list[str | None] = []

    async def note(_: Any, event: Any) -> None:
        traces.append(telemetry.current_trace_id())

    consumer = Consumer(name=f"trace.{world.topic}", service="test", handlers={world.reader: note})
    with telemetry.recording() as record:
        with telemetry.span("writer"):
            trace = telemetry.current_trace_id()
            await world.paint(key, "red")
        async with world.relaying(), world.consuming(Processing(world.database, consumer)):
            await eventually(lambda: told(traces), within=10)
        assert traces == [trace]
        assert [span.name for span in record.spans] == ["writer", "consume town.test.thing.painted.v1"]


async def told(traces: list[Any]) -> bool:
    return bool(traces)


async def test_our_events_are_cloudevents(world: Any) -> None:
    key = new_id()
    await world.paint(key, "red")
    async with world.relaying():
        await eventually(lambda: published(world))
    raw = (await world.messages())[0]
    read = from_binary_event(KafkaMessage(dict(raw.headers), raw.key, raw.value))
    assert read.get_specversion() == "1.0"
    assert read.get_source() == "urn:jp:municipality:174611:test"
    assert read.get_type() == "town.test.thing.painted.v1"
    assert UUID(read.get_id()).version == 7
    assert read.get_time() is not None
    assert read.get_time().tzinfo is not None
    assert read.get_datacontenttype() == "application/json"
    assert read.get_extension("sequence") == "1"
    assert read.get_extension("partitionkey") == str(key)
    assert read.get_data() == {"colour": "red"}


async def published(world: Any) -> bool:
    return await world.count("outbox", "published_at IS NULL") == 0


async def test_kcat_reads_our_topics(world: Any) -> None:
    if world.log.kind != "kafka":
        pytest.skip("kcat speaks Kafka only")
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    key = new_id()
    await world.paint(key, "red")
    async with world.relaying():
        await eventually(lambda: published(world))
    command = ["kcat", "-C", "-e", "-q", "-b", world.log.address, "-t", world.topic, "-f", "%k|%h|%s"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=True)
    found, headers, body = done.stdout.split("|")
    assert found == str(key)
    assert "ce_sequence=1" in headers
    assert body == '{"colour":"red"}'


async def test_a_consumer_goes_on_after_its_log_was_away(world: Any) -> None:
    """Its reader fails; it connects again by itself."""
    key = new_id()
    away = {"left": 2}

    class Away:
        """A log that does not answer twice; everything else is the real one."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        async def reader(self, group: str, topics: Any) -> Any:
            from town_kit.messaging.transport import TransportError

            if away["left"]:
                away["left"] -= 1
                raise TransportError("away")
            return await self.real.reader(group, topics)

    await world.send(world.message(key, 1, "red"))
    task = asyncio.create_task(read_log(world.processing(), Away(world.log.connect()), [world.topic]))
    await eventually(lambda: world.has(key, 1), within=10)
    task.cancel()
    assert away["left"] == 0


def test_a_consumer_has_one_reader_per_type() -> None:
    class One(Event):
        TYPE = "town.test.thing.painted.v1"
        TOPIC = "t"

    class Two(Event):
        TYPE = "town.test.thing.painted.v1"
        TOPIC = "t"

    async def nothing(_: Any, __: Any) -> None:
        """Do nothing."""

    with pytest.raises(ValueError):
        Consumer(name="c", service="s", handlers={One: nothing, Two: nothing})
