"""What every log must do; each test runs on the log in PostgreSQL and on Apache Kafka."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Incoming, LogReader, Outgoing, Position, Transport
from town_kit.testing.auth import eventually

SHORT = timedelta(seconds=1)
MEMBER = """
import asyncio, sys
from datetime import timedelta
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.pglog import PgLog

async def main(kind, address, group, topic):
    log = (KafkaLog if kind == "kafka" else PgLog)(address)
    reader = await log.reader(group, [topic])
    found = []
    while not found:
        found = await reader.fetch(10, timedelta(seconds=1))
    await reader.commit({(m.topic, m.partition): m.offset + 1 for m in found})
    print(len(found), flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def things(transport: Transport, topic: str) -> Any:
    """A topic that is there."""
    await transport.create_topics([TopicSpec(topic)])
    yield topic
    await transport.delete_topics([topic])


async def append(transport: Transport, topic: str, keys: list[Any], start: int = 0) -> list[Any]:
    producer = await transport.producer()
    messages = [
        Outgoing(topic, str(key).encode(), (("ce_id", b"\x00\xff"), ("n", str(n).encode())), f"{n}".encode())
        for n, key in enumerate(keys, start)
    ]
    placed = await producer.send(messages)
    await producer.close()
    return placed


async def read(reader: LogReader, count: int, limit: int = 1000) -> list[Incoming]:
    """At least ``count`` messages; fewer when no more come."""
    found: list[Incoming] = []

    async def enough() -> bool:
        found.extend(await reader.fetch(limit, SHORT))
        return len(found) >= count

    await eventually(enough, within=20)
    return found


async def test_the_messages_of_a_key_keep_their_order(transport: Transport, things: str) -> None:
    keys = [new_id() for _ in range(7)]
    await append(transport, things, [keys[n % 7] for n in range(350)])
    reader = await transport.reader("order", [things])
    found = await read(reader, 350, limit=40)
    await reader.close()
    for key in keys:
        mine = [message for message in found if message.key == str(key).encode()]
        assert [int(message.value) for message in mine] == sorted(int(message.value) for message in mine)
        assert len(mine) == 50
        assert len({message.partition for message in mine}) == 1


async def test_a_message_comes_out_as_it_went_in_and_where_it_was_said_to_stand(
    transport: Transport, things: str
) -> None:
    key = new_id()
    placed = await append(transport, things, [key, key])
    reader = await transport.reader("same", [things])
    found = await read(reader, 2)
    await reader.close()
    assert [Position(message.partition, message.offset) for message in found] == placed
    assert found[0].key == str(key).encode()
    assert dict(found[0].headers) == {"ce_id": b"\x00\xff", "n": b"0"}
    assert found[1].value == b"1"


async def test_a_group_resumes_at_its_committed_offset(transport: Transport, things: str) -> None:
    await append(transport, things, ["a"] * 10)
    first = await transport.reader("resume", [things])
    found = await read(first, 10)
    await first.commit({(things, found[0].partition): found[6].offset})
    await first.close()
    second = await transport.reader("resume", [things])
    again = await read(second, 4)
    await second.close()
    assert [int(message.value) for message in again] == [6, 7, 8, 9]


async def test_messages_without_a_commit_come_again(transport: Transport, things: str) -> None:
    await append(transport, things, ["a"] * 3)
    for _ in range(2):
        reader = await transport.reader("again", [things])
        found = await read(reader, 3)
        await reader.close()
        assert [int(message.value) for message in found] == [0, 1, 2]


async def test_each_group_gets_every_message(transport: Transport, things: str) -> None:
    await append(transport, things, [new_id() for _ in range(20)])
    for group in ("one", "other"):
        reader = await transport.reader(group, [things])
        found = await read(reader, 20)
        await reader.commit({(things, message.partition): message.offset + 1 for message in found})
        await reader.close()
        assert sorted(int(message.value) for message in found) == list(range(20))


async def test_a_reader_waits_for_a_message_and_is_woken(transport: Transport, things: str) -> None:
    reader = await transport.reader("woken", [things])
    await reader.fetch(1, timedelta(seconds=2))
    waiting = asyncio.create_task(read(reader, 1))
    await asyncio.sleep(0.05)
    await append(transport, things, ["late"])
    assert [message.value for message in await waiting] == [b"0"]
    await reader.close()


async def test_another_member_takes_over_from_the_committed_offset_when_one_is_killed(
    log: Any, transport: Transport, things: str
) -> None:
    await append(transport, things, ["a"] * 3)
    command = [sys.executable, "-c", MEMBER, log.kind, log.address, "team", things]
    member = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert member.stdout is not None
    read_there = int(await asyncio.to_thread(member.stdout.readline))
    second = await transport.reader("team", [things])
    member.kill()
    member.wait()
    await append(transport, things, ["a"] * 2, start=3)
    found = await read(second, 5 - read_there)
    await second.close()
    assert [int(message.value) for message in found] == list(range(read_there, 5))


async def test_topics_are_made_once_and_ends_are_told(transport: Transport, things: str) -> None:
    await transport.create_topics([TopicSpec(things)])
    assert await transport.end_offsets([things, "test.nowhere"]) == {(things, n): 0 for n in range(4)}
    placed = await append(transport, things, ["a"] * 5)
    assert (await transport.end_offsets([things]))[things, placed[0].partition] == 5


async def test_a_topic_that_is_not_there_takes_nothing(transport: Transport, topic: str) -> None:
    placed = await append(transport, topic, ["a"])
    assert isinstance(placed[0], Exception)


async def test_a_reader_begins_anew_when_its_topic_was_lost_and_made_again(transport: Transport, things: str) -> None:
    await append(transport, things, ["a"] * 3)
    reader = await transport.reader("lost", [things])
    found = await read(reader, 3)
    await reader.commit({(things, found[0].partition): 3})
    await transport.delete_topics([things])

    async def made() -> bool:
        await transport.create_topics([TopicSpec(things)])
        return not any((await transport.end_offsets([things])).values() or [1])

    await eventually(made)
    await append(transport, things, ["a"] * 2, start=10)
    again = await read(reader, 2)
    await reader.close()
    assert [int(message.value) for message in again] == [10, 11]
