"""The event logs, read along during the journey: which event stands where, by topic, partition and offset."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from town_kit.messaging.event import Undecodable, decode
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.pglog import PgLog
from town_kit.messaging.topics import zones
from town_kit.messaging.transport import Incoming, LogReader, Transport, TransportError
from town_kit.settings import Zone
from town_onebox.assembly import Town

GROUP = "journey"
WATCHED = (Zone.INTERNET, Zone.LGWAN)
WAIT = timedelta(milliseconds=200)


@dataclass(frozen=True)
class Seen:
    """One event in its log."""

    topic: str
    partition: int
    offset: int
    type: str
    value: bytes

    def place(self) -> str:
        """``topic[partition]@offset type``"""
        return f"{self.topic}[{self.partition}]@{self.offset}  {self.type}"


class Watcher:
    """Everything read since the journey began."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._told = 0

    def take(self, messages: Sequence[Incoming]) -> None:
        """Remember messages."""
        for one in messages:
            try:
                envelope = decode(one.key, one.headers)
            except Undecodable:
                continue
            self._seen.append(Seen(one.topic, one.partition, one.offset, envelope.type, one.value))

    def news(self, *ids: str) -> list[Seen]:
        """What came since the last call and names one of ``ids``, or asks for a poll."""
        wanted = [one.encode() for one in ids if one]
        found = [
            seen
            for seen in self._seen[self._told :]
            if seen.topic == "gateway.portal-polls" or any(one in seen.value for one in wanted)
        ]
        self._told = len(self._seen)
        return found


@asynccontextmanager
async def watching(town: Town) -> AsyncIterator[Watcher]:
    """Read the logs of the outer two zones while the block runs."""
    watcher = Watcher()
    tasks = [asyncio.create_task(_follow(town, zone, watcher)) for zone in WATCHED]
    try:
        yield watcher
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(town: Town, zone: Zone, watcher: Watcher) -> None:
    topics = [name for name, topic in zones().topics.items() if topic.log is zone and "audit" not in name]
    while True:
        log = _log(town, zone)
        try:
            reader = await log.reader(GROUP, topics)
            try:
                await _read(reader, watcher)
            finally:
                await reader.close()
        except (TransportError, OSError):
            await asyncio.sleep(0.5)
        finally:
            await log.close()


async def _read(reader: LogReader, watcher: Watcher) -> None:
    while True:
        messages = await reader.fetch(500, WAIT)
        watcher.take(messages)
        offsets = {(one.topic, one.partition): one.offset + 1 for one in messages}
        if offsets:
            await reader.commit(offsets)


def _log(town: Town, zone: Zone) -> Transport:
    address = town.log_address(zone)
    return KafkaLog(address) if town.transport == "kafka" else PgLog(address)
