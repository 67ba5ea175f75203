"""The event log in PostgreSQL: durable, ordered, with groups and offsets, and no broker to run.

Appends to a topic are serialised by its counter row, so the order of offsets is the order of commits and a reader
never sees a gap that is filled later. A partition of a group belongs to the reader that holds its advisory lock: when
a reader dies, the server lets go of the lock and another reader takes over from the committed offset.
"""

import asyncio
import contextlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from town_kit.db.engine import KEEPALIVES
from town_kit.messaging.event import Headers
from town_kit.messaging.notify import wait
from town_kit.messaging.pglog_tables import CHANNEL, DDL, GRANTS
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Incoming, Outgoing, Partition, Position, TransportError

REFRESH_SECONDS = 1.0
PRUNE_ROWS = 5_000
LONGEST_SLEEP = 0.5
SILENCE_SECONDS = 15.0  # a server that says nothing for so long is gone, or the way to it

_APPEND = "SELECT log_append($1, $2::int[], $3::bytea[], $4::bytea[], $5::bytea[])"
_FETCH = """SELECT p.topic_id, r.partition, r.record_offset, r.key, r.headers, r.value
FROM unnest($1::int[], $2::int[], $3::bigint[]) AS p(topic_id, partition, start)
CROSS JOIN LATERAL (
  SELECT * FROM log_records l WHERE l.topic_id = p.topic_id AND l.partition = p.partition AND l.record_offset >= p.start
  ORDER BY l.record_offset LIMIT $4) r
LIMIT $4"""
_COMMIT = """INSERT INTO log_groups (group_name, topic_id, partition, next_offset)
SELECT $1, * FROM unnest($2::int[], $3::int[], $4::bigint[])
ON CONFLICT (group_name, topic_id, partition) DO UPDATE SET next_offset = excluded.next_offset"""
_POSITIONS = """SELECT t.id, t.name, t.partitions, t.next_offsets,
  array(SELECT coalesce(g.next_offset, 0) FROM generate_series(0, t.partitions - 1) p
        LEFT JOIN log_groups g ON g.group_name = $1 AND g.topic_id = t.id AND g.partition = p ORDER BY p) AS committed
FROM log_topics t WHERE t.name = ANY($2::text[])"""
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 7462))"
_UNLOCK = "SELECT pg_advisory_unlock_all()"


async def install(dsn: str) -> None:
    """Make the log's tables as their owner (``<name>_owner``) and grant them to ``<name>_app``; harmless again."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(74610)")
            for statement in (*DDL, *GRANTS):
                await connection.execute(statement)
    finally:
        await connection.close()


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key: the same one for ever."""
    return zlib.crc32(key) % partitions if key else 0


def pack_headers(headers: Headers) -> bytes:
    """Headers as they are stored; each byte comes back as it was."""
    return json.dumps([[name, value.decode("latin-1")] for name, value in headers]).encode()


def unpack_headers(raw: bytes) -> tuple[tuple[str, bytes], ...]:
    """The way back of :func:`pack_headers`."""
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(raw))


class PgLog:
    """The log behind one PostgreSQL address.

    Args:
        dsn: ``postgresql://`` address of the application role of the log's database.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._own: asyncpg.Connection | None = None
        self._busy = asyncio.Lock()

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Make the topics that are not there yet."""
        wanted = [(spec.name, spec.partitions, spec.retention) for spec in specs]
        async with self._busy:
            connection = await self._connection()
            known = {row["name"] for row in await connection.fetch("SELECT name FROM log_topics")}
            missing = [row for row in wanted if row[0] not in known]
            if missing:
                await connection.executemany("SELECT log_create_topic($1, $2, $3)", missing)

    async def delete_topics(self, names: Iterable[str]) -> None:
        """Remove topics, their messages and what groups have read of them."""
        async with self._busy:
            await (await self._connection()).execute("DELETE FROM log_topics WHERE name = ANY($1::text[])", list(names))

    async def end_offsets(self, topics: Iterable[str]) -> dict[Partition, int]:
        """The offset the next message of each partition will get."""
        query = "SELECT name, next_offsets FROM log_topics WHERE name = ANY($1::text[])"
        async with self._busy:
            rows = await (await self._connection()).fetch(query, list(topics))
        return {(row["name"], n): offset for row in rows for n, offset in enumerate(row["next_offsets"])}

    async def prune(self, topics: Iterable[str]) -> int:
        """Remove messages older than their topic's retention; offsets are never used again."""
        removed = 0
        async with self._busy:
            connection = await self._connection()
            while True:
                count: int = await connection.fetchval("SELECT log_prune($1::text[], $2)", list(topics), PRUNE_ROWS)
                removed += count
                if count < PRUNE_ROWS:
                    return removed

    async def producer(self) -> "PgProducer":
        """A producer on a connection of its own."""
        return PgProducer(await _connect(self._dsn, "town.log.producer"))

    async def reader(self, group: str, topics: Iterable[str]) -> "PgReader":
        """A member of ``group`` on a connection of its own."""
        reader = PgReader(await _connect(self._dsn, group), group, tuple(topics))
        await reader.listen()
        return reader

    async def close(self) -> None:
        """Close the connection of the administrative calls."""
        connection, self._own = self._own, None
        if connection is not None and not connection.is_closed():
            connection.terminate()

    async def _connection(self) -> asyncpg.Connection:
        if self._own is None or self._own.is_closed():
            self._own = await _connect(self._dsn, "town.log")
        return self._own


async def _connect(dsn: str, application: str) -> asyncpg.Connection:
    settings = {"application_name": application[:60], "lock_timeout": "10000"} | KEEPALIVES
    try:
        return await asyncpg.connect(dsn, timeout=5, command_timeout=SILENCE_SECONDS, server_settings=settings)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise TransportError(f"the event log does not answer: {type(error).__name__}") from error


class PgProducer:
    """Appends a batch per topic in one durable transaction."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._partitions: dict[str, int] = {}

    async def send(self, messages: Sequence[Outgoing]) -> list[Position | Exception]:
        """Append; all messages of a topic succeed or fail together."""
        results: list[Position | Exception] = [TransportError("not sent")] * len(messages)
        by_topic: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            by_topic.setdefault(message.topic, []).append(index)
        for topic, indexes in by_topic.items():
            try:
                placed = await self._append(topic, [messages[index] for index in indexes])
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self._partitions.pop(topic, None)
                placed = [TransportError(f"{topic}: {type(error).__name__}")] * len(indexes)
            for index, position in zip(indexes, placed, strict=True):
                results[index] = position
        return results

    async def _append(self, topic: str, messages: Sequence[Outgoing]) -> list[Position | Exception]:
        if topic not in self._partitions:
            found = await self._connection.fetchval("SELECT partitions FROM log_topics WHERE name = $1", topic)
            if found is None:
                return [TransportError(f"there is no topic {topic}")] * len(messages)
            self._partitions[topic] = found
        places = [partition_of(message.key, self._partitions[topic]) for message in messages]
        offsets = await self._connection.fetchval(
            _APPEND,
            topic,
            places,
            [message.key for message in messages],
            [pack_headers(message.headers) for message in messages],
            [message.value for message in messages],
        )
        await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, topic)  # after the commit, nothing to flush
        return [Position(*place) for place in zip(places, offsets, strict=True)]

    async def close(self) -> None:
        """Close the connection."""
        if not self._connection.is_closed():
            self._connection.terminate()


class PgReader:
    """One member of a group. What it owns, what it has read and what is committed are three different things."""

    def __init__(self, connection: asyncpg.Connection, group: str, topics: tuple[str, ...]) -> None:
        self._connection = connection
        self._group = group
        self._topics = topics
        self._arrived = asyncio.Event()
        self._owned: set[Partition] = set()
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._next: dict[Partition, int] = {}
        self._end: dict[Partition, int] = {}
        self._refreshed = 0.0

    async def listen(self) -> None:
        """Be woken by producers."""
        await self._connection.add_listener(CHANNEL, self._woken)

    def _woken(self, _connection: Any, _pid: int, _channel: str, topic: str) -> None:
        if topic in self._topics:
            self._arrived.set()

    async def fetch(self, limit: int, wait_for: timedelta) -> list[Incoming]:
        """Up to ``limit`` messages of the partitions this member owns."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + wait_for.total_seconds()
        try:
            while True:
                if loop.time() - self._refreshed > REFRESH_SECONDS:
                    await self._refresh()
                    self._refreshed = loop.time()
                found = await self._read(limit)
                left = give_up - loop.time()
                if found or left <= 0:
                    return found
                await wait(self._arrived, min(left, LONGEST_SLEEP))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise TransportError(f"the event log does not answer: {type(error).__name__}") from error

    async def _read(self, limit: int) -> list[Incoming]:
        wanted = list(self._next.items())
        if not wanted:
            return []
        rows = await self._connection.fetch(
            _FETCH,
            [self._ids[topic] for (topic, _), _ in wanted],
            [partition for (_, partition), _ in wanted],
            [start for _, start in wanted],
            limit,
        )
        found = [Incoming(self._names[row[0]], row[1], row[2], row[3], unpack_headers(row[4]), row[5]) for row in rows]
        for message in found:
            place = (message.topic, message.partition)
            self._next.pop(place, None)  # to the end of the round: a full partition must not starve the others
            self._next[place] = message.offset + 1
        return found

    async def _refresh(self) -> None:
        """Take partitions nobody owns, and see whether a topic was lost or made anew."""
        rows = await self._connection.fetch(_POSITIONS, self._group, list(self._topics))
        seen = {row["name"]: row for row in rows}
        for topic in self._topics:
            row = seen.get(topic)
            if row is None or self._ids.get(topic) != row["id"]:
                self._forget(topic)
            if row is None:
                continue
            self._ids[topic], self._names[row["id"]] = row["id"], topic
            for partition in range(row["partitions"]):
                await self._take(topic, partition, row)

    async def _take(self, topic: str, partition: int, row: Any) -> None:
        place = (topic, partition)
        if place not in self._owned:
            if not await self._connection.fetchval(_LOCK, f"{self._group}/{topic}/{partition}"):
                return
            self._owned.add(place)  # read again: the member before us may have moved the offset before it let go
            row = (await self._connection.fetch(_POSITIONS, self._group, [topic]))[0]
        committed, end = row["committed"][partition], row["next_offsets"][partition]
        self._end[place] = end
        if place not in self._next or self._next[place] > end:
            self._next[place] = committed if committed <= end else 0

    def _forget(self, topic: str) -> None:
        self._ids.pop(topic, None)
        for place in [place for place in self._next if place[0] == topic]:
            del self._next[place]

    def lag(self) -> int:
        """Messages beyond what was fetched, as of the last look (at most a second ago while reading)."""
        return sum(max(self._end.get(place, 0) - start, 0) for place, start in self._next.items())

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Store the next offsets; those of a topic that is gone are dropped."""
        kept = [(self._ids[topic], n, offset) for (topic, n), offset in offsets.items() if topic in self._ids]
        if not kept:
            return
        columns = [list(column) for column in zip(*kept, strict=True)]
        try:
            await self._connection.execute(_COMMIT, self._group, *columns)
        except asyncpg.ForeignKeyViolationError:
            self._refreshed = 0.0
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise TransportError(f"the event log does not answer: {type(error).__name__}") from error

    async def close(self) -> None:
        """Let go of the partitions and close the connection."""
        if self._connection.is_closed():
            return
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._connection.execute(_UNLOCK, timeout=2)
        self._connection.terminate()
