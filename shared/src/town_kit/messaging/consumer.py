"""Consumers: each event's effect is committed together with the cursor that says it is done, then the offset follows.

Up to 100 events share a transaction. When one of them fails, all are undone and run again with a savepoint each, so
that a poison does not take the others with it. One whose trouble does not pass within seconds is parked, so that the
log goes on for all other keys; it is tried again every two seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit import telemetry
from town_kit.clock import SystemClock
from town_kit.db.engine import Database
from town_kit.db.errors import refusal_of
from town_kit.failpoints import failpoint
from town_kit.messaging.connecting import connect
from town_kit.messaging.event import Envelope, Reader, Received, Undecodable, decode
from town_kit.messaging.inbox import READY, TROUBLED, Inbox, Place, Step, parked_message
from town_kit.messaging.pace import Pace
from town_kit.messaging.topics import specs, zones
from town_kit.messaging.transport import Incoming, LogReader, Transport, TransportError
from town_kit.problems import Problem
from town_kit.rush import QUIET, Rush
from town_kit.service import Service
from town_kit.settings import Zone

__all__ = ["Consumer", "Processing", "Received", "run_consumer"]

log = structlog.get_logger(__name__)

BATCH = 100
TRIES = 3
FETCH_WAIT = timedelta(seconds=2)
LONGEST_PAUSE = 2.0
WATCH_SECONDS = 10.0
ALARM_SECONDS = 60.0

Handler = Callable[[AsyncSession, Received[Any]], Awaitable[None]]
# A constraint that is only checked at COMMIT must fail inside its own event's savepoint.
_CHECK_NOW = text("SET CONSTRAINTS ALL IMMEDIATE")
_WATCH = text(
    """SELECT (SELECT count(*) FROM parked_events WHERE consumer = :consumer) AS parked,
  (SELECT coalesce(extract(epoch FROM now() - min(parked_at)), 0)::float8 FROM parked_events
   WHERE consumer = :consumer) AS oldest,
  (SELECT count(*) FROM dead_letters WHERE consumer = :consumer AND settled_at IS NULL) AS dead"""
)


@dataclass(frozen=True)
class Consumer:
    """What a service does with the events of others.

    Attributes:
        name: ``<service>.<noun>``; also the group in the log and the name in the inbox. It never changes.
        service: the service whose database holds inbox and effect.
        handlers: reader → what is done. A type without a handler only moves the cursor.
    """

    name: str
    service: str
    handlers: Mapping[type[Reader], Handler]
    by_type: Mapping[str, tuple[type[Reader], Handler]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_type = {reader.TYPE: (reader, handler) for reader, handler in self.handlers.items()}
        if len(by_type) != len(self.handlers):
            raise ValueError(f"{self.name} reads one type of event with two readers")
        object.__setattr__(self, "by_type", by_type)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it reads."""
        return tuple(sorted({reader.TOPIC for reader in self.handlers}))


class Poison(Exception):
    """An event that can never be processed; the reason never holds any of its content."""


def passes(error: BaseException) -> bool:
    """Whether the same event may succeed later without anybody doing anything."""
    if isinstance(error, Problem):
        return error.status == 429 or error.status >= 500
    return isinstance(error, OSError | TransportError) or refusal_of(error) is not None


@dataclass
class Processing:
    """Processes batches of one consumer.

    Args:
        database: the database of the consumer's service.
        consumer: the consumer.
    """

    database: Database
    consumer: Consumer
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    _tries: dict[Any, int] = field(default_factory=dict)

    async def process(self, messages: Sequence[Incoming], *, patient: bool = True) -> None:
        """Bring all these messages to an end: done, parked or among the dead letters. Waits where waiting helps.

        Args:
            messages: the messages.
            patient: whether to try for some seconds what may pass, before it is parked.
        """
        left, careful, pause = list(messages), False, 0.02
        while left:
            try:
                park = not patient or pause >= LONGEST_PAUSE
                left = await self._transaction(left, careful=careful, park=park)
            except Exception as error:
                log.info("batch_undone", consumer=self.consumer.name, error=type(error).__name__, careful=careful)
                if not careful and not passes(error):
                    pause = 0.0
            careful = True
            if left:
                await asyncio.sleep(pause)
                pause = min(max(pause * 2, 0.02), LONGEST_PAUSE)
        self._tries.clear()

    async def _transaction(self, messages: Sequence[Incoming], *, careful: bool, park: bool) -> list[Incoming]:
        """One transaction over these messages; returns those to be tried again; ``park`` sets aside what may pass."""
        lags: list[Envelope] = []
        left: list[Incoming] = []
        async with self.database.begin(role="service") as session:
            inbox = Inbox(await driver_of(session), self.consumer.name)
            decoded = [(message, _decoded(message)) for message in messages]
            await inbox.open((m.topic, e.key) for m, e in decoded if isinstance(e, Envelope))
            held: set[Place] = set()
            for message, envelope in decoded:
                if isinstance(envelope, Undecodable):
                    inbox.bury(message, None, f"not an event: {envelope}")
                    continue
                place = (message.topic, envelope.key)
                step = Step.PARK if place in held else inbox.cursors[place].judge(envelope)
                if place in held and not park:
                    left.append(message)
                elif step is Step.PARK:
                    inbox.park(message, envelope)
                elif step is Step.RUN:
                    again = await self._follow(session, inbox, message, envelope, lags, careful=careful)
                    if again is not None:
                        held.add(place)
                        troubled = decode(again.key, again.headers)
                        if park and troubled.id not in self._tries:  # what may be poison is tried to its end
                            inbox.park(again, troubled, TROUBLED)
                            self.waiting.set()
                        else:
                            left.append(again)
            buried = await inbox.save()
            failpoint("after-effect-before-commit", self.consumer.name)
        self._tell(lags, buried)
        return left

    async def _follow(
        self,
        session: AsyncSession,
        inbox: Inbox,
        message: Incoming,
        envelope: Envelope,
        lags: list[Envelope],
        *,
        careful: bool,
    ) -> Incoming | None:
        """Run an event and the parked ones whose turn that makes it; returns one that must be tried again."""
        place = (message.topic, envelope.key)
        upcoming: Incoming | None = message
        while upcoming is not None:
            envelope = decode(upcoming.key, upcoming.headers)
            if careful:
                reason, again = await self._carefully(session, upcoming, envelope)
                if again:
                    return upcoming
                if reason:
                    inbox.bury(upcoming, envelope, reason)
                    return None
            else:
                await self.handle(session, upcoming, envelope)
            inbox.cursors[place].advance(envelope.sequence)
            lags.append(envelope)
            upcoming = await inbox.next_parked(place)
        return None

    async def _carefully(self, session: AsyncSession, message: Incoming, envelope: Envelope) -> tuple[str, bool]:
        """Run an event in a savepoint: the reason why it is poison, and whether it must be tried again."""
        try:
            async with session.begin_nested():
                await self.handle(session, message, envelope)
                await session.execute(_CHECK_NOW)
        except Poison as error:
            return str(error), False
        except Exception as error:
            if session.get_transaction() is None or not session.is_active:
                raise
            if passes(error):
                log.warning("event_waits", consumer=self.consumer.name, type=envelope.type, error=type(error).__name__)
                return "", True
            self._tries[envelope.id] = self._tries.get(envelope.id, 0) + 1
            if self._tries[envelope.id] < TRIES:
                return "", True
            log.exception("event_is_poison", consumer=self.consumer.name, type=envelope.type, event_id=str(envelope.id))
            return f"{TRIES} times {type(error).__name__}", False
        return "", False

    async def handle(self, session: AsyncSession, message: Incoming, envelope: Envelope) -> None:
        """Run the handler of one event in the open transaction.

        Raises:
            Poison: the body is not what the reader needs.
        """
        found = self.consumer.by_type.get(envelope.type)
        if found is None:
            return
        reader, handler = found
        try:
            data = reader.model_validate_json(message.value)
        except ValidationError as error:
            wrong = {f"/{'/'.join(map(str, e['loc']))} {e['type']}" for e in error.errors(include_input=False)}
            raise Poison(f"unreadable body: {', '.join(sorted(wrong))}"[:500]) from None
        received = Received(
            data, envelope.key, envelope.sequence, envelope.id, envelope.occurred_at, envelope.traceparent
        )
        with telemetry.span(f"consume {envelope.type}", envelope.traceparent, consumer=self.consumer.name):
            await handler(session, received)
            await session.flush()
        session.expunge_all()  # the next event reads the rows anew, as in a transaction of its own

    def _tell(self, done: Sequence[Envelope], buried: int) -> None:
        now = SystemClock().now()
        for envelope in done:
            telemetry.observe("event_lag", (now - envelope.occurred_at).total_seconds(), consumer=self.consumer.name)
        if done:
            telemetry.count("events_handled", len(done), consumer=self.consumer.name)
        if buried:
            log.error("dead_letters_added", consumer=self.consumer.name, count=buried)

    async def drain(self) -> int:
        """Process parked events whose turn has come without another event of their key; returns how many it tried.

        Each is tried once: one whose trouble has not passed stays parked, and stands in nobody's way.
        """
        self.waiting.clear()
        total, last = 0, ("", UUID(int=0))
        while True:
            async with self.database.begin(role="service") as session:
                driver = await driver_of(session)
                rows = await driver.fetch(READY, self.consumer.name, *last, BATCH)
            if not rows:
                return total
            await self.process([parked_message(row) for row in rows], patient=False)
            total, last = total + len(rows), (rows[-1]["topic"], rows[-1]["key"])

    async def report(self) -> None:
        """Tell how much waits and how much is dead; warn of what has waited for more than a minute."""
        async with self.database.begin(role="service") as session:
            row = (await session.execute(_WATCH, {"consumer": self.consumer.name})).one()
        telemetry.gauge("parked_events", row.parked, consumer=self.consumer.name)
        telemetry.gauge("parked_oldest_age_seconds", row.oldest, consumer=self.consumer.name)
        telemetry.gauge("dead_letters", row.dead, consumer=self.consumer.name)
        if row.oldest > ALARM_SECONDS:
            log.error("events_wait", consumer=self.consumer.name, count=row.parked, seconds=round(row.oldest))


async def driver_of(session: AsyncSession) -> Any:
    """The asyncpg connection in whose transaction the session is."""
    return (await (await session.connection()).get_raw_connection()).driver_connection


def _decoded(message: Incoming) -> Envelope | Undecodable:
    try:
        return decode(message.key, message.headers)
    except Undecodable as error:
        return error


async def read_log(processing: Processing, transport: Transport, topics: Iterable[str], rush: Rush = QUIET) -> None:
    """Read some topics of one log until cancelled; a log that does not answer is asked again, ever more slowly."""
    names, pause = tuple(topics), 0.05
    while True:
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(transport.close)
                await transport.create_topics(specs(names))
                reader = await transport.reader(processing.consumer.name, names)
                stack.push_async_callback(reader.close)
                pause, pace = 0.05, Pace()
                while True:
                    await rush.over()
                    count = await read_once(processing, reader)
                    if count and (wait := pace.pause(count, full=count == BATCH)):
                        await asyncio.sleep(wait)
        except TransportError as error:
            log.warning("consumer_waits_for_log", consumer=processing.consumer.name, reason=str(error), seconds=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


async def read_once(processing: Processing, reader: LogReader, wait: timedelta = FETCH_WAIT) -> int:
    """Fetch, process and commit one batch; returns how many messages it had."""
    messages = await reader.fetch(BATCH, wait)
    telemetry.gauge("consumer_lag", reader.lag(), consumer=processing.consumer.name)
    if messages:
        failpoint("after-poll-before-tx", processing.consumer.name)
        await processing.process(messages)
        failpoint("after-commit-before-offset", processing.consumer.name)
        await reader.commit({(m.topic, m.partition): m.offset + 1 for m in messages})
    return len(messages)


async def run_consumer(service: Service, consumer: Consumer, rush: Rush = QUIET) -> None:
    """Run a consumer of ``service`` until cancelled; it fetches nothing in a ``rush``."""
    processing = Processing(service.database, consumer)
    by_zone: dict[Zone, list[str]] = {}
    for topic in consumer.topics:
        by_zone.setdefault(zones().log_of(topic), []).append(topic)
    async with asyncio.TaskGroup() as tasks:
        for zone, topics in by_zone.items():
            tasks.create_task(read_log(processing, connect(service.settings, zone), topics, rush))
        tasks.create_task(watch(processing))


async def watch(processing: Processing) -> None:
    """Try parked events again and tell how many there are, until cancelled."""
    while True:
        try:
            await processing.drain()
            await processing.report()
        except Exception as error:
            log.warning("watch_failed", consumer=processing.consumer.name, error=type(error).__name__)
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_SECONDS):
                await processing.waiting.wait()
                await asyncio.sleep(LONGEST_PAUSE)
