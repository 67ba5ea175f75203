"""What an event is: a producer's class, a consumer's reader, and the envelope between them.

The envelope is CloudEvents 1.0 in Kafka's binary mode: attributes travel as ``ce_*`` headers, the body is JSON. The
message key is the aggregate's id; ``ce_sequence`` counts the events of that aggregate (1, 2, 3 …).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

SPEC_VERSION = b"1.0"
BODY_LIMIT = 262_144
HIGHEST_SEQUENCE = 2**63 - 1  # what a bigint holds
Headers = Sequence[tuple[str, bytes]]


class Event(BaseModel):
    """A fact its producer publishes (イベント); strict, immutable, and without a name, an address or a My Number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]


class Reader(BaseModel):
    """What a consumer reads of somebody's event; members it does not know are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]


R = TypeVar("R", bound=Reader)


@dataclass(frozen=True, slots=True)
class Received(Generic[R]):
    """An event as a handler gets it.

    Attributes:
        data: the consumer's own reading.
        key: id of the aggregate.
        sequence: number of the event among those of its aggregate, from 1.
        id: id of the event; the same after every repeat.
        occurred_at: when it happened, UTC.
        traceparent: the trace it belongs to.
    """

    data: R
    key: UUID
    sequence: int
    id: UUID
    occurred_at: datetime
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of an event, without its body."""

    id: UUID
    type: str
    key: UUID
    sequence: int
    occurred_at: datetime
    traceparent: str | None = None
    snapshot: bool = False


class Undecodable(ValueError):
    """A message that is not an event of ours; the message says which attribute is wrong, never its value."""


def source(municipality_code: str, service: str) -> str:
    """The ``source`` of a service's events; no town's name stands in a contract."""
    return f"urn:jp:municipality:{municipality_code}:{service}"


def encode_headers(envelope: Envelope, of: str) -> tuple[tuple[str, bytes], ...]:
    """The headers of an event whose ``source`` is ``of``."""
    headers = [
        ("ce_specversion", SPEC_VERSION),
        ("ce_id", str(envelope.id).encode()),
        ("ce_source", of.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_time", _rfc3339(envelope.occurred_at)),
        ("ce_sequence", str(envelope.sequence).encode()),
        ("content-type", b"application/json"),
    ]
    if envelope.traceparent:
        headers.append(("traceparent", envelope.traceparent.encode()))
    if envelope.snapshot:
        headers.append(("ce_snapshot", b"true"))
    return tuple(headers)


def decode(key: bytes | None, headers: Headers) -> Envelope:
    """The envelope of a message.

    Raises:
        Undecodable: a required attribute is absent or malformed.
    """
    found: Mapping[str, bytes] = dict(headers)
    if found.get("ce_specversion") != SPEC_VERSION:
        raise Undecodable("ce_specversion")
    sequence = _text(found, "ce_sequence")
    if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 20 and 0 < int(sequence) <= HIGHEST_SEQUENCE):
        raise Undecodable("ce_sequence")
    try:
        occurred_at = datetime.fromisoformat(_text(found, "ce_time"))
    except ValueError:
        raise Undecodable("ce_time") from None
    if occurred_at.tzinfo is None:
        raise Undecodable("ce_time")
    trace = found.get("traceparent")
    return Envelope(
        id=_uuid(found.get("ce_id"), "ce_id"),
        type=_text(found, "ce_type"),
        key=_uuid(key, "key"),
        sequence=int(sequence),
        occurred_at=occurred_at,
        traceparent=trace.decode("latin-1") if trace else None,
        snapshot=found.get("ce_snapshot") == b"true",
    )


def key_of(key: bytes | None) -> UUID | None:
    """The aggregate's id where the message key is one."""
    try:
        return _uuid(key, "key")
    except Undecodable:
        return None


def _rfc3339(moment: datetime) -> bytes:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z").encode()


def _text(headers: Mapping[str, bytes], name: str) -> str:
    raw = headers.get(name)
    if not raw:
        raise Undecodable(name)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Undecodable(name) from None


def _uuid(raw: bytes | None, name: str) -> UUID:
    try:
        return UUID((raw or b"").decode("ascii"))
    except ValueError:
        raise Undecodable(name) from None
