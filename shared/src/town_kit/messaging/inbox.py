"""The inbox: how far a consumer has come with each aggregate, moved in the same transaction as the effect.

Per (consumer, topic, key) it keeps the last sequence done. At most that: done already. The next one: run. Later ones:
parked until the gap is filled. These rows are never removed, so a repeat is recognised for ever.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from town_kit.messaging.event import Envelope, Headers, key_of
from town_kit.messaging.transport import Incoming

Place = tuple[str, UUID]
GAP = "an earlier event has not come"
BEHIND = "an earlier event of this key is a dead letter"
TROUBLED = "its trouble may pass; it is tried again"

_LOCK = """SELECT i.topic, i.key, i.sequence FROM inbox i
JOIN unnest($2::text[], $3::uuid[]) AS u(topic, key) ON i.topic = u.topic AND i.key = u.key
WHERE i.consumer = $1 ORDER BY i.topic, i.key FOR UPDATE OF i"""
_BEGIN = """INSERT INTO inbox (consumer, topic, key, sequence)
SELECT $1, t, k, 0 FROM unnest($2::text[], $3::uuid[]) AS u(t, k) ON CONFLICT DO NOTHING"""
_WAITING = """SELECT topic, key, bool_or(blocked) AS blocked FROM (
  SELECT p.topic, p.key, false AS blocked FROM parked_events p
  JOIN unnest($2::text[], $3::uuid[]) AS u(t, k) ON p.topic = t AND p.key = k WHERE p.consumer = $1
  UNION ALL
  SELECT d.topic, d.key, true FROM dead_letters d
  JOIN unnest($2::text[], $3::uuid[]) AS u(t, k) ON d.topic = t AND d.key = k
  WHERE d.consumer = $1 AND d.settled_at IS NULL AND d.sequence IS NOT NULL) w GROUP BY topic, key"""
_MOVE = """UPDATE inbox SET sequence = s FROM unnest($2::text[], $3::uuid[], $4::bigint[]) AS u(t, k, s)
WHERE consumer = $1 AND topic = t AND key = k"""
_TAKE = """SELECT topic, key, headers, data FROM parked_events
WHERE consumer = $1 AND topic = $2 AND key = $3 AND sequence = $4 FOR UPDATE"""
_SETTLE = """DELETE FROM parked_events p USING unnest($2::text[], $3::uuid[], $4::bigint[]) AS u(t, k, s)
WHERE p.consumer = $1 AND p.topic = t AND p.key = k AND p.sequence <= s"""
_PARK = """INSERT INTO parked_events (consumer, topic, key, sequence, event_id, headers, data, reason)
SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::bigint[], $5::uuid[], $6::jsonb[], $7::bytea[], $8::text[])
ON CONFLICT DO NOTHING"""
_BURY = """INSERT INTO dead_letters
  (consumer, topic, key, sequence, event_id, log_partition, log_offset, headers, raw, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""


READY = """SELECT p.topic, p.key, p.headers, p.data FROM parked_events p
JOIN inbox i ON i.consumer = p.consumer AND i.topic = p.topic AND i.key = p.key AND p.sequence = i.sequence + 1
WHERE p.consumer = $1 AND NOT EXISTS (
  SELECT FROM dead_letters d WHERE d.consumer = p.consumer AND d.topic = p.topic AND d.key = p.key
    AND d.settled_at IS NULL AND d.sequence IS NOT NULL)
  AND (p.topic, p.key) > ($2, $3)
ORDER BY p.topic, p.key LIMIT $4"""


class Step(Enum):
    """What is to be done with an event."""

    DONE = "done already"
    RUN = "run"
    PARK = "park"


@dataclass(slots=True)
class Cursor:
    """How far a consumer has come with one aggregate.

    Attributes:
        done: sequence of the last event done; 0 for none.
        parked: later events wait in the table.
        blocked: an event of this key is an open dead letter.
    """

    done: int
    parked: bool = False
    blocked: bool = False
    moved: bool = False

    def judge(self, envelope: Envelope) -> Step:
        """What is to be done with an event. A snapshot holds the whole state, so nothing before it is missed."""
        if envelope.sequence <= self.done:
            return Step.DONE
        if self.blocked:
            return Step.PARK
        return Step.RUN if envelope.sequence == self.done + 1 or envelope.snapshot else Step.PARK

    def advance(self, sequence: int) -> None:
        """This event is done."""
        self.done, self.moved = sequence, True


@dataclass
class Inbox:
    """The cursors of some aggregates in one open transaction, locked until it ends.

    Args:
        driver: the asyncpg connection in whose transaction this happens.
        consumer: the consumer's name.
    """

    driver: Any
    consumer: str
    cursors: dict[Place, Cursor] = field(default_factory=dict)
    _parking: dict[Place, dict[int, tuple[Incoming, Envelope, str]]] = field(default_factory=dict)
    _burials: list[tuple[Any, ...]] = field(default_factory=list)

    async def open(self, places: Iterable[Place]) -> None:
        """Lock the cursors of these aggregates, in one order for everybody, and see what waits."""
        wanted = sorted(set(places))
        if not wanted:
            return
        await self._lock(wanted)
        missing = [place for place in wanted if place not in self.cursors]
        if missing:
            await self.driver.execute(_BEGIN, self.consumer, *_columns(missing))
            await self._lock(missing)
        for row in await self.driver.fetch(_WAITING, self.consumer, *_columns(wanted)):
            cursor = self.cursors[row["topic"], row["key"]]
            cursor.parked, cursor.blocked = True, row["blocked"]

    async def _lock(self, places: list[Place]) -> None:
        for row in await self.driver.fetch(_LOCK, self.consumer, *_columns(places)):
            self.cursors[row["topic"], row["key"]] = Cursor(row["sequence"])

    def park(self, message: Incoming, envelope: Envelope, reason: str = "") -> None:
        """Let an event wait: for its turn, or for what ``reason`` says."""
        place = (message.topic, envelope.key)
        reason = reason or (BEHIND if self.cursors[place].blocked else GAP)
        self._parking.setdefault(place, {})[envelope.sequence] = (message, envelope, reason)

    async def next_parked(self, place: Place) -> Incoming | None:
        """The parked event whose turn it is now."""
        cursor = self.cursors[place]
        if cursor.blocked:
            return None
        waiting = self._parking.get(place, {}).pop(cursor.done + 1, None)
        if waiting is not None:
            return waiting[0]
        if not cursor.parked:
            return None
        row = await self.driver.fetchrow(_TAKE, self.consumer, *place, cursor.done + 1)
        return parked_message(row) if row is not None else None

    def bury(self, message: Incoming, envelope: Envelope | None, reason: str) -> None:
        """Put an event among the dead letters; later ones of its key wait behind it."""
        key = envelope.key if envelope else key_of(message.key)
        if envelope is not None:
            self.cursors[message.topic, envelope.key].blocked = True
        self._burials.append(
            (
                self.consumer,
                message.topic,
                key,
                envelope.sequence if envelope else None,
                envelope.id if envelope else None,
                message.partition if message.partition >= 0 else None,
                message.offset if message.offset >= 0 else None,
                jsoned(message.headers),
                message.value,
                reason,
            )
        )

    async def save(self) -> int:
        """Write what has changed; returns how many dead letters were added."""
        moved = [(*place, cursor.done) for place, cursor in self.cursors.items() if cursor.moved]
        if moved:
            await self.driver.execute(_MOVE, self.consumer, *_columns(moved))
        settled = [(*place, cursor.done) for place, cursor in self.cursors.items() if cursor.moved and cursor.parked]
        if settled:
            await self.driver.execute(_SETTLE, self.consumer, *_columns(settled))
        parked = [
            (*place, sequence, envelope.id, jsoned(message.headers), message.value, reason)
            for place, waiting in self._parking.items()
            for sequence, (message, envelope, reason) in waiting.items()
            if sequence > self.cursors[place].done
        ]
        if parked:
            await self.driver.execute(_PARK, self.consumer, *_columns(parked))
        if self._burials:
            await self.driver.executemany(_BURY, self._burials)
        return len(self._burials)


def parked_message(row: Any) -> Incoming:
    """A parked event as a message; its place in the log no longer matters."""
    return Incoming(row["topic"], -1, -1, str(row["key"]).encode(), unjson(row["headers"]), row["data"])


def jsoned(headers: Headers) -> str:
    """Headers as a JSON list of pairs; what is not text is escaped."""
    return json.dumps([[name, _printable(value)] for name, value in headers])


def unjson(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, bytes], ...]:
    """Headers as they came, from the list the driver reads out of ``jsonb``; exact for all that is text."""
    return tuple((name, value.encode()) for name, value in pairs)


def _printable(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
