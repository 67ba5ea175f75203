"""`relay`: how fast a relay carries a backlog of 20,000 events of 1 KB, marks included.

The reference is a bare send of the same rows in the same batches, without reading or marking an outbox.
"""

import asyncio
import time

import asyncpg
from tests.load.ground import Ground, connect, empty, ground
from tests.load.measure import Measure

from town_kit.db import Database
from town_kit.messaging.event import Envelope, encode_headers
from town_kit.messaging.relay import BATCH, Relay
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Outgoing, Position
from town_kit.settings import Zone

BACKLOG = 20_000
SOURCE = "urn:jp:municipality:174611:bench"
FILL = """INSERT INTO outbox (event_id, topic, key, sequence, type, occurred_at, data)
SELECT gen_random_uuid(), $1, gen_random_uuid(), 1, 'town.bench.thing.moved.v1', now(),
  convert_to(repeat('x', 1000), 'UTF8')
FROM generate_series(1, $2)"""


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    measures = []
    async with ground() as on:
        for kind in on.logs:
            reference = await bare(on, kind)
            rate = await relayed(on, kind)
            measures.append(Measure(f"relay.{kind}.per_second", rate, "events/s", reference, rate / reference))
    return measures


async def fill(on: Ground, topic: str) -> None:
    """Put a backlog into the outbox."""
    await empty(on)
    owner = await asyncpg.connect(on.urls.owner_dsn)
    await owner.execute(FILL, topic, BACKLOG)
    await owner.execute("VACUUM ANALYZE outbox")
    await owner.close()


async def relayed(on: Ground, kind: str) -> float:
    """Events per second through the relay, from its first read to its last mark."""
    topic = f"bench.relay-{kind}"
    await fill(on, topic)
    async with Database(on.urls.app_url).running() as database:
        relay = Relay(database, "bench", SOURCE, lambda _: Zone.LGWAN, lambda _: connect(kind, on.logs[kind]), (topic,))
        looking = await asyncpg.connect(on.urls.app_dsn)
        log = connect(kind, on.logs[kind])
        await log.create_topics([TopicSpec(topic)])
        await log.close()
        began = time.perf_counter()
        running = asyncio.create_task(relay.run())
        while await looking.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"):
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - began
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await looking.close()
    return BACKLOG / seconds


async def bare(on: Ground, kind: str) -> float:
    """Events per second of the same rows given to the log directly."""
    topic = f"bench.bare-{kind}"
    await fill(on, topic)
    owner = await asyncpg.connect(on.urls.owner_dsn)
    rows = await owner.fetch("SELECT event_id, type, key, sequence, occurred_at, data FROM outbox")
    await owner.close()
    messages = [
        Outgoing(topic, str(row[2]).encode(), encode_headers(Envelope(*row[:5]), SOURCE), row[5]) for row in rows
    ]
    log = connect(kind, on.logs[kind])
    await log.create_topics([TopicSpec(topic)])
    producer = await log.producer()
    began = time.perf_counter()
    for start in range(0, BACKLOG, BATCH):
        placed = await producer.send(messages[start : start + BATCH])
        assert all(isinstance(position, Position) for position in placed)
    seconds = time.perf_counter() - began
    await producer.close()
    await log.close()
    return BACKLOG / seconds
