"""Dead letters: events nobody could process, kept with their raw bytes until a person has decided about them.

Later events of the same aggregate wait behind a dead letter. *Retry* runs it again (after a fix); *discard* declares
it done without an effect. Either way those behind it then run in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from town_kit.db.engine import Database
from town_kit.messaging.consumer import Poison, Processing, driver_of
from town_kit.messaging.event import Envelope, Undecodable, decode
from town_kit.messaging.inbox import Inbox, Step, unjson
from town_kit.messaging.transport import Incoming

_OPEN = text(
    """SELECT id, consumer, topic, key, sequence, reason, failed_at, octet_length(raw) AS bytes FROM dead_letters
WHERE settled_at IS NULL AND (cast(:consumer AS text) IS NULL OR consumer = :consumer) ORDER BY id"""
)
_TAKE = """SELECT id, topic, key, sequence, headers, raw FROM dead_letters
WHERE id = $1 AND consumer = $2 AND settled_at IS NULL FOR UPDATE"""
_SETTLE = "UPDATE dead_letters SET settled_at = now(), settlement = $2 WHERE id = $1"


class NoSuchLetter(LookupError):
    """There is no open dead letter of this consumer with this id."""


class StillDead(Exception):
    """The event failed again; it stays where it is."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An open dead letter, without its content."""

    id: int
    consumer: str
    topic: str
    key: UUID | None
    sequence: int | None
    reason: str
    failed_at: datetime
    bytes: int


async def list_open(database: Database, consumer: str | None = None) -> Sequence[DeadLetter]:
    """The open dead letters, oldest first."""
    async with database.begin(role="service") as session:
        rows = await session.execute(_OPEN, {"consumer": consumer})
        return [DeadLetter(*row) for row in rows]


async def retry(processing: Processing, letter: int) -> None:
    """Run an event again; what waits behind it follows.

    Raises:
        NoSuchLetter: it is not there or was settled.
        StillDead: it failed again.
    """
    async with processing.database.begin(role="service") as session:
        driver = await driver_of(session)
        message = await _take(driver, processing, letter, "retried")
        try:
            envelope = decode(message.key, message.headers)
        except Undecodable as error:
            raise StillDead(f"イベントの形ではありません: {error}") from None
        inbox = Inbox(driver, processing.consumer.name)
        await inbox.open([(message.topic, envelope.key)])
        cursor = inbox.cursors[message.topic, envelope.key]
        step = cursor.judge(envelope)
        if step is Step.PARK:
            raise StillDead("先に、前のイベントを片付けてください。")
        if step is Step.RUN:
            try:
                await processing.handle(session, message, envelope)
            except Poison as error:
                raise StillDead(str(error)) from None
            except Exception as error:
                raise StillDead(type(error).__name__) from error
            cursor.advance(envelope.sequence)
        await inbox.save()
    await processing.drain()


async def discard(processing: Processing, letter: int, reason: str) -> None:
    """Declare an event done without an effect; what waits behind it follows.

    Args:
        processing: the consumer.
        letter: its id.
        reason: why, in a person's words; kept with the letter.

    Raises:
        NoSuchLetter: it is not there or was settled.
    """
    async with processing.database.begin(role="service") as session:
        driver = await driver_of(session)
        message = await _take(driver, processing, letter, f"discarded: {reason}"[:500])
        envelope = _envelope(message)
        if envelope is not None:
            inbox = Inbox(driver, processing.consumer.name)
            place = (message.topic, envelope.key)
            await inbox.open([place])
            cursor = inbox.cursors[place]
            if cursor.judge(envelope) is Step.RUN:
                cursor.advance(envelope.sequence)
            await inbox.save()
    await processing.drain()


async def _take(driver: Any, processing: Processing, letter: int, settlement: str) -> Incoming:
    row = await driver.fetchrow(_TAKE, letter, processing.consumer.name)
    if row is None:
        raise NoSuchLetter(f"{processing.consumer.name} に {letter} 番の、判断を待つイベントはありません。")
    await driver.execute(_SETTLE, letter, settlement)
    key = str(row["key"]).encode() if row["key"] else None
    return Incoming(row["topic"], -1, -1, key, unjson(row["headers"]), row["raw"])


def _envelope(message: Incoming) -> Envelope | None:
    try:
        return decode(message.key, message.headers)
    except Undecodable:
        return None
