"""The event log as relays and consumers see it: ``pglog`` and ``kafka`` both fulfil it; nobody can tell them apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from town_kit.messaging.event import Headers
from town_kit.messaging.topics import TopicSpec

Partition = tuple[str, int]


class TransportError(Exception):
    """The log did not take or give what was asked; asking again may succeed."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to append. Messages of one topic and key stay in the order in which they are given."""

    topic: str
    key: bytes | None
    headers: Headers
    value: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message of the log and where it stands."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: Headers
    value: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Where an appended message stands; ``offset`` is -1 where the log could not tell (a repeat it recognised)."""

    partition: int
    offset: int


class Producer(Protocol):
    """Appends messages."""

    async def send(self, messages: Sequence[Outgoing]) -> list[Position | Exception]:
        """Append; the answer has a position or a failure for each message, in the same order."""
        ...

    async def close(self) -> None:
        """Let go of the connection; what was not acknowledged may or may not be in the log."""
        ...


class LogReader(Protocol):
    """One member of a group. It owns some partitions and reads each from the group's committed offset."""

    async def fetch(self, limit: int, wait: timedelta) -> list[Incoming]:
        """Up to ``limit`` messages, in order per partition; empty when none came within ``wait``."""
        ...

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Store the next offset to read, per partition."""
        ...

    def lag(self) -> int:
        """How many messages the log is known to hold beyond what was fetched."""
        ...

    async def close(self) -> None:
        """Leave the group."""
        ...


class Transport(Protocol):
    """A log."""

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Make the topics that are not there yet."""
        ...

    async def delete_topics(self, names: Iterable[str]) -> None:
        """Remove topics and all they hold."""
        ...

    async def producer(self) -> Producer:
        """A connected producer."""
        ...

    async def reader(self, group: str, topics: Iterable[str]) -> LogReader:
        """A new member of ``group``; a group that is new begins with the oldest message."""
        ...

    async def end_offsets(self, topics: Iterable[str]) -> dict[Partition, int]:
        """The offset the next message of each partition will get; a topic that is not there has none."""
        ...

    async def prune(self, topics: Iterable[str]) -> int:
        """Remove messages older than their topic's retention where the log does not do so itself."""
        ...

    async def close(self) -> None:
        """Close what this object opened itself."""
        ...
