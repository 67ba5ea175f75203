"""The event log in Apache Kafka: acks=all, idempotent producer, consumer groups, manual commits."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from town_kit.messaging.kafka_security import KafkaSecurity
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Incoming, Outgoing, Partition, Position, TransportError

REQUEST_MS = 5_000
ACKNOWLEDGED_SECONDS = 10.0
SESSION_MS = 6_000
HEARTBEAT_MS = 1_500
METADATA_MS = 5_000  # how soon a topic that was lost and made again is seen
BATCH_BYTES = 128 * 1024
FETCH_BYTES = 4 * 1024 * 1024

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # each failure reaches us as an exception, told once


class KafkaLog:
    """The log behind a Kafka address.

    Args:
        bootstrap: ``host:port``, several with commas.
        security: TLS and password; None: an open connection, for a loopback or a network that encrypts by itself.

    Raises:
        RuntimeError: a file of ``security`` cannot be used.
    """

    def __init__(self, bootstrap: str, security: KafkaSecurity | None = None) -> None:
        self._brokers: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            **(security.options() if security is not None else {}),
        }
        self._admin: AIOKafkaAdminClient | None = None
        self._asking: AIOKafkaConsumer | None = None

    async def create_topics(self, specs: Iterable[TopicSpec]) -> None:
        """Make the topics that are not there yet, with the broker's own replication."""
        topics = [_new_topic(spec) for spec in specs]
        if not topics:
            return
        try:
            answer = await (await self._administrator()).create_topics(topics, timeout_ms=REQUEST_MS)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise TransportError(f"{name}: {for_code(code).__name__}")
            await self._until_there({topic.name for topic in topics})
        except (KafkaError, OSError) as error:
            await self.close()
            raise _failure(error) from error

    async def _until_there(self, names: set[str]) -> None:
        """Wait until the brokers tell of new topics: a reader that comes before would see nothing for seconds."""
        give_up = asyncio.get_running_loop().time() + REQUEST_MS / 1000
        while names - {topic for topic, _ in await self._partitions(names)}:
            if asyncio.get_running_loop().time() > give_up:
                raise TransportError("Apache Kafka: the new topics have no leader yet")
            await asyncio.sleep(0.05)

    async def _partitions(self, topics: Iterable[str]) -> list[Partition]:
        """The partitions that have a leader; none of a topic where one has not."""
        admin, names = await self._administrator(), list(topics)
        known = await admin.describe_topics(names) if names else []
        return [
            (topic["topic"], partition["partition"])
            for topic in known
            if topic["error_code"] == 0 and all(partition["error_code"] == 0 for partition in topic["partitions"])
            for partition in topic["partitions"]
        ]

    async def delete_topics(self, names: Iterable[str]) -> None:
        """Remove topics and all they hold."""
        wanted = list(names)
        try:
            answer = await (await self._administrator()).delete_topics(wanted, timeout_ms=REQUEST_MS)
        except (KafkaError, OSError) as error:
            await self.close()
            raise _failure(error) from error
        for name, code in answer.topic_error_codes:
            if code not in (0, UnknownTopicOrPartitionError.errno):
                raise TransportError(f"{name}: {for_code(code).__name__}")

    async def end_offsets(self, topics: Iterable[str]) -> dict[Partition, int]:
        """The offset the next message of each partition will get."""
        try:
            wanted = [TopicPartition(*place) for place in await self._partitions(topics)]
            if not wanted:
                return {}
            found = await (await self._questioner()).end_offsets(wanted)
        except (KafkaError, OSError) as error:
            await self.close()
            raise _failure(error) from error
        return {(place.topic, place.partition): offset for place, offset in found.items()}

    async def prune(self, topics: Iterable[str]) -> int:  # noqa: ARG002 - the broker follows retention.ms
        """Nothing: the broker follows each topic's retention by itself."""
        return 0

    async def producer(self) -> "KafkaProducer":
        """A connected idempotent producer."""
        producer = AIOKafkaProducer(
            **self._brokers,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            metadata_max_age_ms=METADATA_MS,
            request_timeout_ms=REQUEST_MS,
            retry_backoff_ms=50,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise _failure(error) from error
        return KafkaProducer(producer)

    async def reader(self, group: str, topics: Iterable[str]) -> "KafkaReader":
        """A new member of ``group``."""
        consumer = AIOKafkaConsumer(
            *topics,
            **self._brokers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            request_timeout_ms=REQUEST_MS * 2,
            retry_backoff_ms=50,
            metadata_max_age_ms=METADATA_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise _failure(error) from error
        except asyncio.CancelledError:
            await consumer.stop()
            raise
        return KafkaReader(consumer)

    async def close(self) -> None:
        """Close the connections of the administrative calls."""
        admin, self._admin = self._admin, None
        asking, self._asking = self._asking, None
        if admin is not None:
            await admin.close()
        if asking is not None:
            await asking.stop()

    async def _administrator(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            admin = AIOKafkaAdminClient(**self._brokers, request_timeout_ms=REQUEST_MS)
            try:
                await admin.start()
            except (KafkaError, OSError, asyncio.CancelledError):
                await admin.close()
                raise
            self._admin = admin
        return self._admin

    async def _questioner(self) -> AIOKafkaConsumer:
        if self._asking is None:
            asking = AIOKafkaConsumer(**self._brokers, request_timeout_ms=REQUEST_MS)
            try:
                await asking.start()
            except (KafkaError, OSError, asyncio.CancelledError):
                await asking.stop()
                raise
            self._asking = asking
        return self._asking


def _new_topic(spec: TopicSpec) -> NewTopic:
    """A topic with the broker's own replication (-1), which aiokafka's constructor takes for an omission."""
    topic = NewTopic(
        spec.name,
        num_partitions=spec.partitions,
        replication_factor=1,
        topic_configs={
            "retention.ms": str(int(spec.retention.total_seconds() * 1000)),
            "cleanup.policy": "delete",
        },
    )
    topic.replication_factor = -1
    return topic


def _failure(error: BaseException) -> TransportError:
    return TransportError(f"Apache Kafka: {type(error).__name__}")


class KafkaProducer:
    """Sends a batch and waits for all acknowledgements, but not for ever.

    An idempotent producer repeats a message until the broker comes back; a relay must not wait that long, because its
    other topics may stand in a log that answers.
    """

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._unanswered = False

    async def send(self, messages: Sequence[Outgoing]) -> list[Position | Exception]:
        """Append; each message succeeds or fails by itself. One without an answer may still come into the log."""
        waiting: list[asyncio.Future[object] | Exception] = []
        give_up = asyncio.get_running_loop().time() + ACKNOWLEDGED_SECONDS
        self._unanswered = True
        for message in messages:
            try:
                async with asyncio.timeout_at(give_up):
                    waiting.append(
                        await self._producer.send(
                            message.topic, message.value, key=message.key, headers=list(message.headers)
                        )
                    )
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                waiting.append(_failure(error))
        asked = [sent for sent in waiting if not isinstance(sent, Exception)]
        if asked:
            left = max(give_up - asyncio.get_running_loop().time(), 0)
            await asyncio.wait(asked, timeout=left)
        self._unanswered = not all(sent.done() for sent in asked)
        return [sent if isinstance(sent, Exception) else _answer(sent) for sent in waiting]

    async def close(self) -> None:
        """Stop; what was not acknowledged is given up, and may or may not be in the log."""
        with contextlib.suppress(KafkaError, OSError):
            async with asyncio.timeout(REQUEST_MS * 2 / 1000):
                if self._unanswered:  # stop() alone would wait for every acknowledgement
                    await self._producer._sender.close()
                    self._producer._message_accumulator.fail_all(KafkaTimeoutError())
                await self._producer.stop()


def _answer(sent: "asyncio.Future[object]") -> Position | Exception:
    if not sent.done():
        return TransportError("Apache Kafka: no acknowledgement")
    error = sent.exception()
    if isinstance(error, KafkaError | OSError):
        return _failure(error)
    found = sent.result()
    return Position(found.partition, found.offset)  # type: ignore[attr-defined]  # aiokafka has no types


class KafkaReader:
    """One member of a consumer group."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._next: dict[TopicPartition, int] = {}

    async def fetch(self, limit: int, wait_for: timedelta) -> list[Incoming]:
        """Up to ``limit`` messages of the partitions this member was given."""
        try:
            found = await self._consumer.getmany(timeout_ms=int(wait_for.total_seconds() * 1000), max_records=limit)
        except (KafkaError, OSError) as error:
            raise _failure(error) from error
        self._next |= {place: records[-1].offset + 1 for place, records in found.items() if records}
        return [
            Incoming(place.topic, place.partition, r.offset, r.key, r.headers, r.value or b"")
            for place, records in found.items()
            for r in records
        ]

    def lag(self) -> int:
        """Messages beyond what was fetched, as the broker last told."""
        return sum(
            max((self._consumer.highwater(place) or 0) - self._next.get(place, 0), 0)
            for place in self._consumer.assignment()
            if place in self._next
        )

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Store the next offsets. After a rebalance the new owner reads again, and the inbox drops what is done."""
        try:
            await self._consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError, RebalanceInProgressError):
            return
        except (KafkaError, OSError) as error:
            raise _failure(error) from error

    async def close(self) -> None:
        """Leave the group."""
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(REQUEST_MS / 1000):
                await self._consumer.stop()
