"""The relay: carries committed events from a service's outbox to the log, in order per aggregate, and loses none.

One per service. Its lock, its reads and its marks are on **one** connection: when that is lost, so is the lock, and the
relay stops. It never remembers how far it was ("everything after row 41"): rows become visible in the order of commits,
not of numbers, and a watermark would pass over some for ever.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from town_kit import failpoints, telemetry
from town_kit.db.engine import KEEPALIVES, Database
from town_kit.failpoints import failpoint
from town_kit.messaging import notify
from town_kit.messaging.connecting import connect
from town_kit.messaging.event import Envelope, encode_headers, source
from town_kit.messaging.pace import Pace
from town_kit.messaging.topics import UnknownTopic, specs, topics_of, zones
from town_kit.messaging.transport import Outgoing, Partition, Position, Producer, Transport, TransportError
from town_kit.rush import QUIET, Rush
from town_kit.service import Service
from town_kit.settings import Zone

log = structlog.get_logger(__name__)

BATCH = 500
KEEP = timedelta(days=14)
STANDBY_SECONDS = 0.5
CARE_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
REPLAY_SECONDS = 600.0  # two weeks of events are marked in one statement
SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
PRUNE_ROWS = 5_000

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('town.relay', 7463))"
_UNPUBLISHED = """SELECT seq, event_id, topic, key, sequence, type, occurred_at, traceparent, data, snapshot
FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT $1"""
_UNPUBLISHED_OTHERS = """SELECT seq, event_id, topic, key, sequence, type, occurred_at, traceparent, data, snapshot
FROM outbox WHERE published_at IS NULL AND topic <> ALL($4::text[])
  AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::uuid[]) AS held(topic, key)
                  WHERE held.topic = outbox.topic AND held.key = outbox.key)
ORDER BY seq LIMIT $1"""
_MARK = """UPDATE outbox SET published_at = clock_timestamp(), log_partition = p, log_offset = o
FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS done(s, p, o) WHERE seq = s"""
_HIGHEST = """SELECT topic, log_partition, max(log_offset) FROM outbox
WHERE published_at IS NOT NULL AND log_offset >= 0 GROUP BY topic, log_partition"""
_OLDEST = "SELECT extract(epoch FROM now() - min(occurred_at))::float8 FROM outbox WHERE published_at IS NULL"
_REPLAY = """UPDATE outbox SET published_at = NULL, log_partition = NULL, log_offset = NULL
WHERE published_at >= $1 AND ($2::text[] IS NULL OR topic = ANY($2))"""
_PRUNE = """DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE published_at < $1 LIMIT $2)"""

Connected = tuple[Transport, Producer]


@dataclass(frozen=True)
class _Told:
    """What a log told of its topics, and how far the relay knew them to be before it asked."""

    topics: set[str]
    before: dict[Partition, int]
    ends: dict[Partition, int]


class _LogBegunAnew(Exception):
    """A log was found to be lost after events had been read for it: what goes out first is now an earlier one."""


@dataclass
class Relay:
    """The relay of one service.

    Args:
        database: the service's database.
        service: its name, for logs and metrics.
        source: the ``source`` of its events.
        log_of: the zone in whose log a topic stands.
        connect: the transport of a zone.
        topics: what is known to be published; others are found in the outbox.
        rush: tells when events shall wait for callers of the same machine.
    """

    database: Database
    service: str
    source: str
    log_of: Callable[[str], Zone]
    connect: Callable[[Zone], Transport]
    topics: Sequence[str] = ()
    batch: int = BATCH
    rush: Rush = QUIET
    _logs: dict[Zone, Connected] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)
    _highest: dict[Partition, int] = field(default_factory=dict)
    _held: dict[tuple[str, Any], float] = field(default_factory=dict)
    _pauses: dict[Zone, float] = field(default_factory=dict)
    _asked: "dict[Zone, asyncio.Task[_Told]]" = field(default_factory=dict)
    _seeded: bool = False
    _replays: int = 0

    async def run(self) -> None:
        """Carry events until cancelled. Raises when the connection is lost; the worker starts it again."""
        due = asyncio.Event()
        async with AsyncExitStack() as stack:
            stack.enter_context(notify.woken_by(self.database, due.set))
            connection = await self._open()
            stack.callback(connection.terminate)
            stack.push_async_callback(self._disconnect)
            while not await connection.fetchval(_LOCK):  # noqa: ASYNC110 - another process is the relay
                await asyncio.sleep(STANDBY_SECONDS)
            await connection.add_listener(notify.CHANNEL, lambda *_: due.set())
            connection.add_termination_listener(lambda _: due.set())
            await self._carry(connection, due)

    async def _open(self) -> asyncpg.Connection:
        # A mark that is lost with the server is made again: the event goes out twice and the inbox drops the repeat.
        settings = {"application_name": f"{self.service}.relay", "synchronous_commit": "off", "lock_timeout": "5000"}
        settings |= KEEPALIVES
        dsn = notify.plain_dsn(self.database.url)
        connection = await asyncpg.connect(dsn, timeout=5, command_timeout=15, server_settings=settings)
        await connection.execute("SELECT set_config('town.role', 'service', false)")
        return connection

    async def _carry(self, connection: asyncpg.Connection, due: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        pace = Pace()
        cared, pruned = float("-inf"), loop.time()
        while True:
            await self.rush.over()
            if loop.time() - cared > CARE_SECONDS:
                await self._care(connection, due)
                cared = loop.time()
            await self._hear(connection)
            sent = await self.step(connection)
            if loop.time() - pruned > PRUNE_SECONDS:
                await self.prune(connection)
                pruned = loop.time()
            if sent == 0:
                await notify.wait(due)
            elif wait := pace.pause(sent, full=sent == self.batch):
                await asyncio.sleep(wait)

    async def step(self, connection: asyncpg.Connection) -> int:
        """Carry one batch; returns how many events were acknowledged and marked.

        What a log did not take is held back for a while, ever longer, and the events of other logs go on. Where an
        acknowledgement shows that a log has begun anew, nothing is marked and all of its topic goes out again.
        """
        rows = await self._next(connection)
        if not rows:
            return 0
        failpoint("after-outbox-read", self.service)
        try:
            results = await self._send(connection, rows)
        except _LogBegunAnew:
            return 0
        failpoint("after-produce-before-mark", self.service)
        done, lost = self._sort(rows, results)
        if lost:
            await self._begin_anew(connection, lost)
            for topic in lost:
                await self._close(self.log_of(topic))
            return 0
        if done:
            await connection.execute(_MARK, *(list(column) for column in zip(*done, strict=True)))
            telemetry.count("events_published", len(done), service=self.service)
        failpoint("after-mark", self.service)
        return len(done)

    async def _next(self, connection: asyncpg.Connection) -> list[Any]:
        now = asyncio.get_running_loop().time()
        self._held = {name: until for name, until in self._held.items() if until > now}
        if not self._held:
            return list(await connection.fetch(_UNPUBLISHED, self.batch))
        whole = [topic for topic, key in self._held if key is None]
        some = [name for name in self._held if name[1] is not None]
        topics, keys = [topic for topic, _ in some], [key for _, key in some]
        return list(await connection.fetch(_UNPUBLISHED_OTHERS, self.batch, topics, keys, whole))

    async def _send(self, connection: asyncpg.Connection, rows: Sequence[Any]) -> list[Position | Exception]:
        """Send rows to the logs of their topics; rows of one key are of one topic and so of one log."""
        results: list[Position | Exception] = [TransportError("a topic that is not in zones.yaml")] * len(rows)
        by_zone: dict[Zone, list[int]] = {}
        for index, row in enumerate(rows):
            with suppress(UnknownTopic):
                by_zone.setdefault(self.log_of(row["topic"]), []).append(index)
        for zone, indexes in by_zone.items():
            replays = self._replays
            try:
                producer = (await self._log(connection, zone, {rows[index]["topic"] for index in indexes}))[1]
                if self._replays != replays:  # what was read is not the beginning any more
                    raise _LogBegunAnew
                answers = await producer.send([self._message(rows[index]) for index in indexes])
            except TransportError as error:
                answers = [error] * len(indexes)
            failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
            if failed is None:
                self._pauses.pop(zone, None)
            else:
                await self._let_go(zone, failed)
            for index, answer in zip(indexes, answers, strict=True):
                results[index] = answer
        return results

    def _message(self, row: Any) -> Outgoing:
        envelope = Envelope(
            row["event_id"],
            row["type"],
            row["key"],
            row["sequence"],
            row["occurred_at"],
            row["traceparent"],
            row["snapshot"],
        )
        return Outgoing(row["topic"], str(row["key"]).encode(), encode_headers(envelope, self.source), row["data"])

    def _sort(
        self, rows: Sequence[Any], results: Sequence[Position | Exception]
    ) -> tuple[list[tuple[int, int, int]], set[str]]:
        """What to mark, and the topics that were lost. A failed key stops at its failure, a topic nobody took too."""
        done: list[tuple[int, int, int]] = []
        lost: set[str] = set()
        before = dict(self._highest)
        taken = {row["topic"] for row, result in zip(rows, results, strict=True) if isinstance(result, Position)}
        for row, result in zip(rows, results, strict=True):
            name = (row["topic"], row["key"])
            if isinstance(result, Exception):
                self._hold(name if row["topic"] in taken else (row["topic"], None))
            elif name not in self._held:
                done.append((row["seq"], result.partition, result.offset))
                place = (row["topic"], result.partition)
                if 0 <= result.offset <= before.get(place, -1):
                    lost.add(row["topic"])
                self._highest[place] = max(self._highest.get(place, -1), result.offset)
        return done, lost

    def _hold(self, name: tuple[str, Any]) -> None:
        """Leave a key (or with None a whole topic) alone until its log may have come back."""
        pause = LONGEST_PAUSE / 2
        with suppress(UnknownTopic):
            pause = self._pauses.get(self.log_of(name[0]), pause)
        self._held[name] = asyncio.get_running_loop().time() + pause

    async def _log(self, connection: asyncpg.Connection, zone: Zone, topics: Iterable[str]) -> Connected:
        """The log of a zone, with these topics made; when it is connected anew, it is looked after first."""
        if zone not in self._logs:
            transport = self.connect(zone)
            try:
                self._logs[zone] = (transport, await transport.producer())
            except TransportError:
                await transport.close()
                raise
            await self._heed(connection, zone, await self._told(zone))
        missing = set(topics) - self._made
        if missing:
            await self._logs[zone][0].create_topics(specs(missing))
            self._made |= missing
        return self._logs[zone]

    async def _care(self, connection: asyncpg.Connection, due: asyncio.Event) -> None:
        """Have every log looked after, and tell how old the oldest event is."""
        if not self._seeded:
            self._highest = {(row[0], row[1]): row[2] for row in await connection.fetch(_HIGHEST)}
            self._seeded = True
        for zone, topics in self._known().items():
            if zone in self._logs:
                self._ask(zone, due)
                continue
            try:
                await self._log(connection, zone, ())
            except TransportError as error:
                await self._let_go_of(zone, topics, error)
        age = await connection.fetchval(_OLDEST)
        telemetry.gauge("outbox_oldest_age_seconds", max(age or 0.0, 0.0), service=self.service)

    def _ask(self, zone: Zone, due: asyncio.Event) -> None:
        """Ask a log while events go on: its answer may take a hundred milliseconds, and they would all wait."""
        if zone not in self._asked:
            self._asked[zone] = asyncio.create_task(self._told(zone))
            self._asked[zone].add_done_callback(lambda _: due.set())

    async def _hear(self, connection: asyncpg.Connection) -> None:
        """Do what the answers of the logs ask for."""
        for zone in [zone for zone, asked in self._asked.items() if asked.done()]:
            try:
                await self._heed(connection, zone, self._asked.pop(zone).result())
            except TransportError as error:
                await self._let_go_of(zone, self._known().get(zone, set()), error)

    def _known(self) -> dict[Zone, set[str]]:
        """The topics that are known to be published, by the zone of their log."""
        by_zone: dict[Zone, set[str]] = {}
        for topic in {*self.topics, *(topic for topic, _ in self._highest)}:
            with suppress(UnknownTopic):
                by_zone.setdefault(self.log_of(topic), set()).add(topic)
        return by_zone

    async def _told(self, zone: Zone) -> _Told:
        """How far each topic of a log goes."""
        topics, before = self._known().get(zone, set()), dict(self._highest)
        return _Told(topics, before, await self._logs[zone][0].end_offsets(topics))

    async def _heed(self, connection: asyncpg.Connection, zone: Zone, told: _Told) -> None:
        """Make the topics a log has not, and see whether it was lost."""
        await self._logs[zone][0].create_topics(specs(told.topics - {topic for topic, _ in told.ends}))
        self._made |= told.topics
        lost = {
            topic
            for (topic, partition), offset in told.before.items()
            if topic in told.topics and told.ends.get((topic, partition), 0) <= offset
        }
        if lost:
            await self._begin_anew(connection, lost)

    async def _begin_anew(self, connection: asyncpg.Connection, topics: set[str]) -> None:
        """Everything that is kept goes out again into a log that was lost."""
        again = await replay(connection, topics=sorted(topics))
        self._replays += 1
        log.error("event_log_was_lost", service=self.service, topics=sorted(topics), replayed=again)
        self._highest = {place: offset for place, offset in self._highest.items() if place[0] not in topics}
        self._made -= topics

    async def prune(self, connection: asyncpg.Connection, keep: timedelta = KEEP) -> int:
        """Remove events published longer ago than ``keep`` from the outbox, and old messages from the logs."""
        removed, before = 0, await connection.fetchval("SELECT now()") - keep
        while True:
            count = int((await connection.execute(_PRUNE, before, PRUNE_ROWS)).split()[-1])
            removed += count
            if count < PRUNE_ROWS:
                break
        for transport, _ in self._logs.values():
            with suppress(TransportError):
                await transport.prune(self._made)
        return removed

    async def _let_go(self, zone: Zone, reason: Exception) -> None:
        """Leave a log that failed, and wait longer before each new try; its producer is never used again."""
        pause = self._pauses[zone] = min(max(self._pauses.get(zone, 0) * 2, SHORTEST_PAUSE), LONGEST_PAUSE)
        log.warning("relay_waits_for_log", service=self.service, zone=zone, reason=str(reason), seconds=pause)
        await self._close(zone)

    async def _let_go_of(self, zone: Zone, topics: Iterable[str], reason: Exception) -> None:
        await self._let_go(zone, reason)
        for topic in topics:
            self._hold((topic, None))

    async def _close(self, zone: Zone) -> None:
        if (asked := self._asked.pop(zone, None)) is not None:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        connected = self._logs.pop(zone, None)
        if connected is not None:
            await connected[1].close()
            await connected[0].close()

    async def _disconnect(self) -> None:
        for zone in tuple(self._logs):
            await self._close(zone)


async def replay(
    connection: asyncpg.Connection, *, since: datetime | None = None, topics: Sequence[str] | None = None
) -> int:
    """Send events again that were published since a moment (or all that are kept): their marks are cleared.

    Consumers drop what they have done; a log that was restored gets what it misses. Returns how many.
    """
    begin = since or await connection.fetchval("SELECT '-infinity'::timestamptz")
    wanted = list(topics) if topics is not None else None
    status = await connection.execute(_REPLAY, begin, wanted, timeout=REPLAY_SECONDS)
    return int(status.split()[-1])


async def run_relay(service: Service, rush: Rush = QUIET) -> None:
    """Run the relay of ``service`` until cancelled; events wait in a ``rush``."""
    if service.settings.environment == "production":
        failpoints.forbid()
    relay = Relay(
        database=service.database,
        service=service.name,
        source=source(service.settings.municipality_code, service.name),
        log_of=zones().log_of,
        connect=lambda zone: connect(service.settings, zone),
        topics=topics_of(service.events),
        rush=rush,
    )
    await relay.run()
