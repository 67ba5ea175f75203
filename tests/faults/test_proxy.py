"""The proxy does what each fault says, and nothing else: judged over sockets, from both ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.kafka_node import KafkaNode, missing
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Outgoing, Position, TransportError
from town_kit.testing import eventually
from town_kit.testing.kafka import absent, jars_folder

from .proxy import Proxy

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SHORT = 0.3


@dataclass
class Target:
    """A server that keeps what it gets and says it again.

    Attributes:
        got: all bytes of all connections.
        ended: how each connection ended on this side.
    """

    port: int = 0
    got: bytearray = field(default_factory=bytearray)
    ended: list[str] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while chunk := await reader.read(65536):
                self.got += chunk
                writer.write(chunk)
                await writer.drain()
            self.ended.append("closed")
        except OSError:
            self.ended.append("reset")
        writer.close()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    made = Target()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    for writer in made.writers:
        writer.transport.abort()


@pytest.fixture
async def proxy(target: Target) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", target.port) as made:
        yield made


async def connect(proxy: Proxy) -> Stream:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def ask(stream: Stream, words: bytes) -> bytes:
    stream[1].write(words)
    await stream[1].drain()
    return await stream[0].readexactly(len(words))


async def silent(waiting: Awaitable[Any]) -> bool:
    """Whether nothing comes for a while."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(waiting, SHORT)
        return False
    return True


async def happens(condition: Callable[[], bool]) -> None:
    """Wait until it is so; fails the test when it never is."""

    async def so() -> bool:
        return condition()

    await eventually(so, within=5)


async def test_without_a_fault_every_byte_passes_and_an_end_is_an_end(proxy: Proxy, target: Target) -> None:
    reader, writer = stream = await connect(proxy)
    assert await ask(stream, b"x" * 300_000) == b"x" * 300_000
    writer.write(b"last")
    writer.write_eof()
    assert await reader.read() == b"last"
    await happens(lambda: target.ended == ["closed"])
    await happens(lambda: proxy.connections == 0)


async def test_dropped_bytes_come_after_the_heal_and_none_is_missing(proxy: Proxy, target: Target) -> None:
    stream = await connect(proxy)
    assert await ask(stream, b"one") == b"one"
    proxy.drop()
    stream[1].write(b"two")
    late = await connect(proxy)
    late[1].write(b"three")
    assert await silent(stream[0].read(1))
    assert bytes(target.got) == b"one"
    proxy.heal()
    assert await stream[0].readexactly(3) == b"two"
    assert await late[0].readexactly(5) == b"three"


async def test_a_client_that_leaves_while_all_is_dropped_is_not_missed_before_the_heal(
    proxy: Proxy, target: Target
) -> None:
    stream = await connect(proxy)
    await ask(stream, b"here")
    proxy.drop()
    stream[1].transport.abort()
    await asyncio.sleep(SHORT)
    assert target.ended == []
    proxy.heal()
    await happens(lambda: len(target.ended) == 1)


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_one_way_lets_one_direction_through(proxy: Proxy, target: Target, direction: Any) -> None:
    stream = await connect(proxy)
    await ask(stream, b"one")
    proxy.one_way(direction)
    target.writers[0].write(b"said")
    stream[1].write(b"two")
    if direction == "up":
        await happens(lambda: bytes(target.got) == b"onetwo")
        assert await silent(stream[0].read(1))
    else:
        assert await stream[0].readexactly(4) == b"said"
        assert await silent(stream[0].read(1))
        assert bytes(target.got) == b"one"
    proxy.heal()
    assert sorted(await stream[0].readexactly(3 if direction == "down" else 7)) == sorted(
        b"two" if direction == "down" else b"saidtwo"
    )


async def test_a_reset_reaches_both_sides_and_whoever_comes_until_the_heal(proxy: Proxy, target: Target) -> None:
    stream = await connect(proxy)
    await ask(stream, b"one")
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await stream[0].read(1)
    await happens(lambda: target.ended == ["reset"])
    with pytest.raises(ConnectionResetError):
        await ask(await connect(proxy), b"two")
    proxy.heal()
    assert await ask(await connect(proxy), b"three") == b"three"
    assert bytes(target.got) == b"onethree"


async def test_a_half_open_connection_stays_deaf_for_ever_and_a_new_one_works(proxy: Proxy, target: Target) -> None:
    stream = await connect(proxy)
    await ask(stream, b"one")
    proxy.half_open()
    await happens(lambda: target.ended == ["reset"])
    stream[1].write(b"lost")
    await stream[1].drain()
    assert await ask(await connect(proxy), b"new") == b"new"
    proxy.heal()
    assert await silent(stream[0].read(1))
    assert bytes(target.got) == b"onenew"
    stream[1].close()
    await happens(lambda: proxy.connections == 1)


async def test_latency_delays_each_way_and_does_not_add_up(proxy: Proxy) -> None:
    stream = await connect(proxy)
    proxy.latency(0.2)
    began = time.monotonic()
    for _ in range(5):
        stream[1].write(b"word!")
        await asyncio.sleep(0.02)
    assert await stream[0].readexactly(25) == b"word!" * 5
    assert 0.4 <= time.monotonic() - began < 2.0, "there and back, not once for each word"


async def test_bandwidth_is_a_slow_line(proxy: Proxy) -> None:
    stream = await connect(proxy)
    proxy.bandwidth(100_000)
    began = time.monotonic()
    assert await ask(stream, b"x" * 50_000) == b"x" * 50_000
    assert 0.45 <= time.monotonic() - began < 5.0


async def test_a_target_that_refuses_is_a_refusal(target: Target) -> None:
    async with Proxy("127.0.0.1", 9) as proxy:
        with pytest.raises(ConnectionResetError):
            await ask(await connect(proxy), b"?")


async def test_the_port_can_be_kept_over_a_restart_of_the_proxy(target: Target) -> None:
    async with Proxy("127.0.0.1", target.port) as proxy:
        port = proxy.port
    async with Proxy("127.0.0.1", target.port, port=port) as proxy:
        assert proxy.port == port
        assert await ask(await connect(proxy), b"again") == b"again"


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
@pytest.mark.timeout(180)
async def test_a_broker_behind_it_keeps_its_clients_there(tmp_path: Path) -> None:
    if lack := missing():
        absent(lack)
    node = KafkaNode(tmp_path, jars_folder())
    async with Proxy("127.0.0.1", node.port) as proxy:
        node.advertised = proxy.port
        await asyncio.to_thread(node.start)
        log = KafkaLog(node.bootstrap)
        try:
            await log.create_topics([TopicSpec("t")])
            producer = await log.producer()
            assert isinstance((await producer.send([message(b"1")]))[0], Position)
            proxy.reset()
            assert isinstance((await producer.send([message(b"2")]))[0], TransportError)
            proxy.heal()
            await producer.close()
            await log.close()
            producer = await log.producer()
            assert isinstance((await producer.send([message(b"3")]))[0], Position)
            await producer.close()
        finally:
            await log.close()
            await asyncio.to_thread(node.stop)


def message(value: bytes) -> Outgoing:
    return Outgoing("t", b"key", (), value)
