"""Both logs behind one fixture, and a small world: things that change, and effects that may happen once."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.clock import SystemClock
from town_kit.db import Aggregate, Base, Database
from town_kit.db.provision import DatabaseUrls
from town_kit.ids import new_id
from town_kit.messaging import outbox, pglog
from town_kit.messaging.consumer import Consumer, Processing, Received, read_log, watch
from town_kit.messaging.event import Envelope, Event, Reader, encode_headers
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.relay import Relay
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Incoming, Outgoing, Transport
from town_kit.rush import QUIET, Rush
from town_kit.settings import Zone
from town_kit.testing.postgres import PostgresServer

KAFKA = pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.xdist_group("kafka"), pytest.mark.timeout(180)])
SOURCE = "urn:jp:municipality:174611:test"
_numbers = itertools.count()


@dataclass(frozen=True)
class LogUnderTest:
    """A log and how to get to it."""

    kind: str
    address: str

    def connect(self) -> Transport:
        return KafkaLog(self.address) if self.kind == "kafka" else pglog.PgLog(self.address)


@pytest.fixture(params=["pglog", KAFKA])
def log(request: pytest.FixtureRequest) -> LogUnderTest:
    """Each test that asks for a log runs on both."""
    if request.param == "kafka":
        return LogUnderTest("kafka", request.getfixturevalue("kafka_bootstrap"))
    urls: DatabaseUrls = request.getfixturevalue("log_urls")
    return LogUnderTest("pglog", urls.app_dsn)


@pytest.fixture(scope="session")
def log_urls(postgres_server: PostgresServer) -> DatabaseUrls:
    """The database of the log."""
    urls = postgres_server.create_database("events")
    asyncio.run(pglog.install(urls.owner_dsn))
    return urls


@pytest.fixture
async def transport(log: LogUnderTest) -> AsyncIterator[Transport]:
    """A connection to the log for the test itself."""
    opened = log.connect()
    yield opened
    await opened.close()


@pytest.fixture
def topic() -> str:
    """A topic of this test's own."""
    return f"test-{new_id().hex}.things"


class ThingBase(Base):
    """Tables of the tests."""


class Thing(Aggregate, ThingBase):
    """An aggregate."""

    __tablename__ = "things"

    colour: Mapped[str] = mapped_column(default="white")


TABLES = """
CREATE TABLE things (id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL, colour text NOT NULL);
CREATE TABLE effects (seq bigint GENERATED ALWAYS AS IDENTITY, event_id uuid UNIQUE, key uuid, sequence bigint,
  colour text CHECK (colour <> 'forbidden'));
GRANT SELECT, INSERT, UPDATE ON things, effects TO "{app}";
"""


class Painted(Event):
    """The tests' event; its topic is set per test."""

    TYPE: ClassVar[str] = "town.test.thing.painted.v1"
    TOPIC: ClassVar[str] = ""

    colour: str


class PaintedReader(Reader):
    """The tests' reader."""

    TYPE: ClassVar[str] = "town.test.thing.painted.v1"
    TOPIC: ClassVar[str] = ""

    colour: str


@dataclass
class World:
    """A service that paints things and a consumer that notes each painting once."""

    database: Database
    urls: DatabaseUrls
    log: LogUnderTest
    topic: str
    event: type[Painted]
    reader: type[PaintedReader]
    trouble: dict[str, Any] = field(default_factory=dict)

    async def paint(self, key: UUID, *colours: str, snapshot: bool = False) -> None:
        """Change a thing, one transaction per colour."""
        for colour in colours:
            async with self.database.begin() as session:
                await self.paint_in(session, key, colour, snapshot=snapshot)

    async def paint_in(self, session: AsyncSession, key: UUID, colour: str, *, snapshot: bool = False) -> None:
        thing = await session.get(Thing, key, with_for_update=True)
        if thing is None:
            thing = Thing(id=key, version=1, event_sequence=0, colour=colour)
            session.add(thing)
        thing.colour = colour
        outbox.add(session, self.event(colour=colour), thing, snapshot=snapshot)

    def message(self, key: UUID, sequence: int, colour: str, **more: Any) -> Outgoing:
        """An event as another service would have sent it."""
        envelope = Envelope(new_id(), "town.test.thing.painted.v1", key, sequence, SystemClock().now(), **more)
        value = json.dumps({"colour": colour, "unknown": 1}).encode()
        return Outgoing(self.topic, str(key).encode(), encode_headers(envelope, SOURCE), value)

    async def send(self, *messages: Outgoing) -> None:
        """Put messages into the log past any outbox."""
        transport = self.log.connect()
        producer = await transport.producer()
        results = await producer.send(messages)
        assert not [result for result in results if isinstance(result, Exception)]
        await producer.close()
        await transport.close()

    def relay(self, **changes: Any) -> Relay:
        arguments: dict[str, Any] = {
            "database": self.database,
            "service": "test",
            "source": SOURCE,
            "log_of": lambda _: Zone.LGWAN,
            "connect": lambda _: self.log.connect(),
            "topics": (self.topic,),
        }
        return Relay(**{**arguments, **changes})

    async def note(self, session: AsyncSession, event: Received[Any]) -> None:
        problem = self.trouble.get(event.data.colour)
        if problem is not None:
            raise problem
        await session.execute(
            text("INSERT INTO effects (event_id, key, sequence, colour) VALUES (:id, :key, :sequence, :colour)"),
            {"id": event.id, "key": event.key, "sequence": event.sequence, "colour": event.data.colour},
        )

    def consumer(self, name: str = "test.notes") -> Consumer:
        return Consumer(name=f"{name}.{self.topic}", service="test", handlers={self.reader: self.note})

    def processing(self) -> Processing:
        return Processing(self.database, self.consumer())

    async def effects(self, key: UUID | None = None) -> list[tuple[UUID, int, str]]:
        query = "SELECT key, sequence, colour FROM effects WHERE cast(:key AS uuid) IS NULL OR key = :key ORDER BY seq"
        async with self.database.begin() as session:
            return [tuple(row) for row in await session.execute(text(query), {"key": key})]

    async def seen(self, key: UUID) -> list[tuple[int, str]]:
        return [(sequence, colour) for _, sequence, colour in await self.effects(key)]

    async def has(self, key: UUID, count: int) -> bool:
        return len(await self.effects(key)) >= count

    async def parked(self, count: int) -> bool:
        return await self.count("parked_events") == count

    async def count(self, table: str, where: str = "true") -> int:
        async with self.database.begin() as session:
            return int((await session.execute(text(f"SELECT count(*) FROM {table} WHERE {where}"))).scalar_one())

    async def messages(self) -> list[Incoming]:
        """All that stands in the topic."""
        transport = self.log.connect()
        try:
            total = sum((await transport.end_offsets([self.topic])).values())
            reader = await transport.reader(f"look-{new_id().hex}", [self.topic])
            found: list[Incoming] = []
            while len(found) < total:
                found += await reader.fetch(1000, timedelta(seconds=5))
            await reader.close()
            return found
        finally:
            await transport.close()

    @asynccontextmanager
    async def relaying(self, **changes: Any) -> AsyncIterator[None]:
        async with running(self.relay(**changes).run()):
            yield

    @asynccontextmanager
    async def consuming(self, processing: Processing | None = None, rush: Rush = QUIET) -> AsyncIterator[None]:
        doing = processing or self.processing()
        async with running(read_log(doing, self.log.connect(), [self.topic], rush)), running(watch(doing)):
            yield


@asynccontextmanager
async def running(coroutine: Any) -> AsyncIterator[None]:
    """Run something in the background while the block runs; what it raises fails the test."""
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        if task.done():
            task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def make_world(postgres_server: PostgresServer, kit_migrations: Any) -> Callable[..., Any]:
    """Make a world on a log."""

    async def make(log: LogUnderTest, topic: str) -> World:
        urls = await asyncio.to_thread(postgres_server.create_database, f"world_{next(_numbers)}", kit_migrations)
        owner = await asyncpg.connect(urls.owner_dsn)
        await owner.execute(TABLES.format(app=f"{urls.name}_app"))
        await owner.close()
        event = type("Painted", (Painted,), {"TOPIC": topic, "__module__": __name__})
        reader = type("PaintedReader", (PaintedReader,), {"TOPIC": topic, "__module__": __name__})
        return World(Database(urls.app_url, pool_size=5), urls, log, topic, event, reader)

    return make


@pytest.fixture
async def world(log: LogUnderTest, topic: str, make_world: Any) -> AsyncIterator[World]:
    """A world whose topic has been made."""
    made = await make_world(log, topic)
    transport = log.connect()
    await transport.create_topics([TopicSpec(topic)])
    async with made.database.running():
        yield made
    await transport.delete_topics([topic])
    await transport.close()
