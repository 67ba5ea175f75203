"""The chain over the audit records: each link holds the hash of the one before.

A job of the worker takes every record that waits in ``audit_pending`` and appends it to ``audit_chain``; nobody else
writes there. A link's hash is SHA-256 over the previous hash, the sequence number and the time of chaining (8 bytes
each, big endian; the time in microseconds since 1970) and the SHA-256 of the record in canonical JSON (JCS, RFC 8785).
Each batch is published, so that identity can answer 「誰が私の情報を見たか」 and so that a copy of the chain stands
outside this database.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit import telemetry
from town_kit.audit.record import COLUMNS
from town_kit.clock import Clock
from town_kit.db.engine import Database
from town_kit.failpoints import failpoint
from town_kit.messaging import outbox
from town_kit.messaging.event import Event
from town_kit.service import Job, exclusive

DDL = (
    """CREATE TABLE audit_chain (
         seq bigint PRIMARY KEY, record_id uuid NOT NULL UNIQUE,
         record_hash bytea NOT NULL, hash bytea NOT NULL,
         batch bigint NOT NULL, chained_at timestamptz NOT NULL)""",
)
GENESIS = bytes(32)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_place = struct.Struct(">qq").pack
BATCH = 1_000
EVENT_BYTES = 200_000
_canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: half the time of a hash
_NAMESPACE = UUID("6f2f9b3e-6f0c-5d0a-9b7d-0d5b6f2f4c11")

_HEAD = text("SELECT seq, hash, batch FROM audit_chain ORDER BY seq DESC LIMIT 1")
_PENDING = text(
    f"""SELECT {", ".join("r." + name for name in COLUMNS)}
FROM audit_pending p JOIN audit_records r ON r.id = p.record_id ORDER BY r.at, r.id LIMIT :limit"""  # noqa: S608 - names from our own list
)
_APPEND = """INSERT INTO audit_chain (seq, record_id, record_hash, hash, batch, chained_at)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::bytea[], $5::bigint[], $6::timestamptz[])"""
# The canonical form of a record `r` as PostgreSQL writes it: half the work of fetching its columns to write it here.
# A year before Christ is written like one after it, so it is marked.
CANONICAL_SQL = """'{"action":' || to_json(r.action) || ',"at":"' || to_char(r.at AT TIME ZONE 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.US') || CASE WHEN r.at < timestamptz '0001-01-02 00:00Z' THEN 'BC' ELSE '' END
    || '+00:00","basis":' || to_json(r.basis) || ',"client_id":' || coalesce(to_json(r.client_id)::text, 'null')
    || ',"fields":' || array_to_json(r.fields)
    || ',"id":"' || r.id || '","principal":' || coalesce('"' || r.principal || '"', 'null')
    || ',"purpose":' || to_json(r.purpose) || ',"result":' || to_json(r.result)
    || ',"role":' || coalesce(to_json(r.role)::text, 'null') || ',"subjects":' || array_to_json(r.subjects)
    || ',"trace_id":' || coalesce(to_json(r.trace_id)::text, 'null') || '}'"""
_SETTLE = "DELETE FROM audit_pending WHERE record_id = ANY($1::uuid[])"


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain."""

    seq: int
    record_id: UUID
    record_hash: bytes
    hash: bytes


@dataclass
class _Stream:
    """The aggregate whose events the batches are: one per service, counting batches."""

    id: UUID
    event_sequence: int


def canonical_record(row: Mapping[str, Any]) -> bytes:
    """A record as canonical JSON (JCS, RFC 8785).

    All members are strings, lists of strings or null, and all names are ASCII; for these the standard library's
    sorted compact form is the canonical one.
    """
    return _canonical(
        {
            "action": row["action"],
            "at": _instant(row["at"]),
            "basis": row["basis"],
            "client_id": row["client_id"],
            "fields": row["fields"],
            "id": str(row["id"]),
            "principal": str(row["principal"]) if row["principal"] is not None else None,
            "purpose": row["purpose"],
            "result": row["result"],
            "role": row["role"],
            "subjects": [str(subject) for subject in row["subjects"]],
            "trace_id": row["trace_id"],
        }
    ).encode()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def record_hash(row: Mapping[str, Any]) -> bytes:
    """SHA-256 of a record's canonical form."""
    return hashlib.sha256(canonical_record(row)).digest()


def microseconds(at: datetime) -> int:
    """The time as it is hashed: microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def link_hash(previous: bytes, seq: int, chained_at: int, hash_of_record: bytes) -> bytes:
    """The hash of the link ``seq`` that follows ``previous``; ``chained_at`` in :func:`microseconds`."""
    return hashlib.sha256(previous + _place(seq, chained_at) + hash_of_record).digest()


def links(rows: Iterable[Mapping[str, Any]], *, after_seq: int, after_hash: bytes, at: datetime) -> list[Link]:
    """The links that append ``rows``, at this time, to a chain whose last link is ``after_seq`` with ``after_hash``."""
    made: list[Link] = []
    seq, previous, chained_at = after_seq, after_hash, microseconds(at)
    for row in rows:
        seq += 1
        of_record = record_hash(row)
        previous = link_hash(previous, seq, chained_at, of_record)
        made.append(Link(seq, row["id"], of_record, previous))
    return made


class ChainedRecord(BaseModel):
    """An audit record and its link (監査記録); without ``seq`` and ``hash`` it is the form that was hashed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int
    hash: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
    id: UUID
    at: str = Field(examples=["2026-11-24T01:23:45.000000+00:00"])
    principal: UUID | None
    role: str | None = Field(examples=["staff"])
    client_id: str | None = Field(examples=["portal"])
    purpose: str = Field(examples=["申請の受理"])
    action: str = Field(examples=["application.accept"])
    basis: str = Field(examples=["行政手続法7条"])
    subjects: tuple[UUID, ...]
    fields: tuple[str, ...]
    result: str = Field(examples=["done"])
    trace_id: str | None = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])


@cache
def batch_event(service: str) -> type[Event]:
    """The event with which ``service`` publishes a chained batch."""

    class AuditBatchChained(Event):
        """監査記録がまとめて連鎖に加えられた — audit records were chained.

        ``records`` are the records as they were hashed, with ``seq`` and the link's ``hash`` (hexadecimal);
        ``chained_at`` stands under each of these hashes too. They hold ids and names of fields, never a person's data.
        """

        TYPE: ClassVar[str] = f"town.{service}.audit-batch.chained.v1"
        TOPIC: ClassVar[str] = f"{service}.audit-batches"

        first_seq: int
        last_seq: int
        chained_at: str = Field(examples=["2026-11-24T01:23:45.500000+00:00"])
        previous_hash: str = Field(examples=["0" * 64])
        head_hash: str = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
        records: tuple[ChainedRecord, ...]

    return AuditBatchChained


def stream_id(service: str) -> UUID:
    """The key of a service's audit batches in the log."""
    return uuid5(_NAMESPACE, service)


async def chain_pending(database: Database, service: str, clock: Clock, *, limit: int = BATCH) -> int:
    """Chain what waits, at most ``limit`` records, and publish it; how many were chained.

    Of several workers one does it; the others find nothing to do.
    """
    async with database.begin() as session:
        if not await exclusive(session, "audit-chain"):
            return 0
        rows = [dict(row) for row in (await session.execute(_PENDING, {"limit": limit})).mappings()]
        telemetry.gauge("audit_unchained", len(rows), service=service)
        if not rows:
            return 0
        head = (await session.execute(_HEAD)).one_or_none()
        seq, previous, batch = (head.seq, bytes(head.hash), head.batch) if head else (0, GENESIS, 0)
        now = clock.now()
        added = links(rows, after_seq=seq, after_hash=previous, at=now)
        stream = _Stream(stream_id(service), batch)
        parts = _parts(rows, added, previous)
        batches = [_publish(session, service, stream, part, before, now) for part, before in parts]
        numbers = [number for number, size in batches for _ in range(size)]
        await _append(session, service, added, numbers, now)
    return len(rows)


def chain_job(database: Database, service: str, clock: Clock) -> Job:
    """The worker's job; a record is chained within a second."""

    async def run() -> int:
        return await chain_pending(database, service, clock)

    return Job("audit-chain", timedelta(milliseconds=500), run)


async def _append(session: AsyncSession, service: str, added: list[Link], batches: list[int], now: datetime) -> None:
    connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    await connection.execute(
        _APPEND,
        [link.seq for link in added],
        [link.record_id for link in added],
        [link.record_hash for link in added],
        [link.hash for link in added],
        batches,
        [now] * len(added),
    )
    failpoint("mid-audit-append", service)
    await connection.execute(_SETTLE, [link.record_id for link in added])


def _parts(
    rows: list[dict[str, Any]], added: list[Link], previous: bytes
) -> Iterable[tuple[list[dict[str, Any]], str]]:
    """The rows in groups that each fit an event, with the hash before each group."""
    group: list[dict[str, Any]] = []
    size, before = 0, previous
    for row, link in zip(rows, added, strict=True):
        raw = canonical_record(row)
        if group and size + len(raw) + 120 > EVENT_BYTES:
            yield group, before.hex()
            group, size, before = [], 0, bytes.fromhex(group[-1]["hash"])
        group.append(json.loads(raw) | {"seq": link.seq, "hash": link.hash.hex()})
        size += len(raw) + 120
    yield group, before.hex()


def _publish(
    session: AsyncSession, service: str, stream: _Stream, records: list[dict[str, Any]], before: str, now: datetime
) -> tuple[int, int]:
    event = batch_event(service).model_validate(
        {
            "first_seq": records[0]["seq"],
            "last_seq": records[-1]["seq"],
            "chained_at": _instant(now),
            "previous_hash": before,
            "head_hash": records[-1]["hash"],
            "records": records,
        }
    )
    outbox.add(session, event, stream)
    return stream.event_sequence, len(records)
