"""`event_lag`: from the commit that has an event to the commit of the consumer's effect, at 100 events/s.

The writer is one process, relay and consumer are another, as in the town. The reference is a bare probe of the log in
the same run: one message sent and received at the same rate, without outbox, inbox and effect.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from uuid import UUID

import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.load.ground import Ground, connect, empty, ground
from tests.load.measure import Measure, quantile

from town_kit.db import Aggregate, Base, Database
from town_kit.ids import new_id
from town_kit.messaging import outbox
from town_kit.messaging.consumer import Consumer, Processing, Received, read_log
from town_kit.messaging.event import Event, Reader, decode
from town_kit.messaging.notify import Notifier
from town_kit.messaging.relay import Relay
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Incoming, Outgoing
from town_kit.settings import Zone

EVENTS = 1_500
WARM_UP = 200
PER_SECOND = 100
TOPIC = "bench.things"
EFFECT = text("INSERT INTO effects (event_id, key, sequence) VALUES (:id, :key, :sequence)")


class BenchBase(Base):
    """The benchmark's table."""


class Thing(Aggregate, BenchBase):
    """Something that changes."""

    __tablename__ = "things"


class Moved(Event):
    """What is published."""

    TYPE: ClassVar[str] = "town.bench.thing.moved.v1"
    TOPIC: ClassVar[str] = TOPIC

    text: str


class MovedReader(Reader):
    """What is read."""

    TYPE: ClassVar[str] = "town.bench.thing.moved.v1"
    TOPIC: ClassVar[str] = TOPIC

    text: str


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    measures: list[Measure] = []
    async with ground() as on:
        for kind in on.logs:
            bare = await probe(kind, on.logs[kind])
            lags = await measure(on, kind)
            for name, share in (("p50", 0.50), ("p99", 0.99)):
                value, reference = quantile(lags, share), quantile(bare, share)
                measures.append(Measure(f"event_lag.{kind}.{name}", value, "ms", reference, value / reference))
    return measures


async def probe(kind: str, address: str) -> list[float]:
    """Lags of the bare log, milliseconds."""
    topic = f"bench-{new_id().hex}.probe"
    log = connect(kind, address)
    await log.create_topics([TopicSpec(topic)])
    producer, reader = await log.producer(), await log.reader("probe", [topic])
    await reader.fetch(1, timedelta(seconds=1))
    lags: list[float] = []

    async def receive() -> None:
        while len(lags) < EVENTS // 2:
            messages = await reader.fetch(100, timedelta(seconds=2))
            now = time.monotonic_ns()
            lags.extend((now - int(message.value[:20])) / 1e6 for message in messages)

    receiving = asyncio.create_task(receive())
    async for _ in paced(EVENTS // 2):
        body = f"{time.monotonic_ns():020}".encode() + b"x" * 480
        await producer.send([Outgoing(topic, str(new_id()).encode(), (), body)])
    await receiving
    await producer.close()
    await reader.close()
    await log.delete_topics([topic])
    await log.close()
    return lags[WARM_UP // 2 :]


async def paced(count: int) -> Any:
    """Numbers at the rate of the benchmark."""
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(began + number / PER_SECOND - time.monotonic(), 0))
        yield number


async def measure(on: Ground, kind: str) -> list[float]:
    """Lags through outbox, relay, log, inbox and effect, milliseconds."""
    await empty(on)
    with TemporaryDirectory() as folder:
        result = Path(folder) / "effects.json"
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.load.event_lag", on.urls.app_url, kind, on.logs[kind], str(result), str(EVENTS)
        )
        try:
            commits = await write(on.urls.app_url)
            await asyncio.wait_for(worker.wait(), 60)
        finally:
            if worker.returncode is None:
                worker.kill()
        done = json.loads(result.read_text())
    lags = [(done[str(event)] - at) / 1e6 for event, at in commits]
    return lags[WARM_UP:]


async def write(url: str) -> list[tuple[UUID, int]]:
    """Commit events at the given rate; their ids and the moments their commits were done (monotonic, ns)."""
    commits: list[tuple[UUID, int]] = []
    tasks: set[asyncio.Task[None]] = set()

    async def change() -> None:
        async with database.begin() as session:
            thing = Thing(id=new_id(), version=1, event_sequence=0)
            session.add(thing)
            row = outbox.add(session, Moved(text="x" * 400), thing)
        commits.append((row.event_id, time.monotonic_ns()))

    async with Database(url).running() as database, Notifier(database, "bench").running():
        await change()
        await until_effect(database)  # relay and consumer are there
        commits.clear()
        async for _ in paced(EVENTS):
            task = asyncio.create_task(change())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        await asyncio.sleep(0.1)
    return sorted(commits, key=lambda commit: commit[1])


async def until_effect(database: Database, seconds: float = 60) -> None:
    """Wait for the first effect."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        async with database.begin() as session:
            if (await session.execute(text("SELECT EXISTS (SELECT FROM effects)"))).scalar_one():
                return
        await asyncio.sleep(0.05)
    raise RuntimeError("relay and consumer did not begin")


class Watched(Processing):
    """The processing of the kit, with the moment each effect was committed."""

    done: ClassVar[dict[str, int]] = {}

    async def process(self, messages: Sequence[Incoming], *, patient: bool = True) -> None:
        """Process, then note the time."""
        await super().process(messages, patient=patient)
        now = time.monotonic_ns()
        self.done.update({str(decode(m.key, m.headers).id): now for m in messages})


async def work(url: str, kind: str, address: str, result: str, events: str) -> None:
    """Relay and consumer, until every event has had its effect."""

    async def note(session: AsyncSession, event: Received[MovedReader]) -> None:
        await session.execute(EFFECT, {"id": event.id, "key": event.key, "sequence": event.sequence})

    async with Database(url).running() as database:
        relay = Relay(database, "bench", "urn:jp:municipality:174611:bench", lambda _: Zone.LGWAN,
                      lambda _: connect(kind, address), (TOPIC,))  # fmt: skip
        consumer = Consumer(f"bench.{kind}", "bench", {MovedReader: note})
        tasks = [
            asyncio.create_task(relay.run()),
            asyncio.create_task(read_log(Watched(database, consumer), connect(kind, address), [TOPIC])),
        ]
        while len(Watched.done) <= int(events):
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    Path(result).write_text(json.dumps(Watched.done))


if __name__ == "__main__":
    uvloop.run(work(*sys.argv[1:]))
