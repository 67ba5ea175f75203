"""The outbox: an event is a row of the business transaction, and so exists exactly when its cause does.

``add`` numbers the event on the aggregate's row, which also locks that row: order per key is commit order. The rows
are written in one statement at the end: by the route through ``writing``, everywhere else by the commit itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID
from weakref import WeakKeyDictionary

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

from town_kit import telemetry
from town_kit.clock import SystemClock
from town_kit.db.engine import TownSession
from town_kit.ids import new_id
from town_kit.messaging import notify
from town_kit.messaging.event import BODY_LIMIT, Event

PENDING = "outbox_pending"
_WROTE = "outbox_wrote"
_savepoints: WeakKeyDictionary[SessionTransaction, int] = WeakKeyDictionary()

INSERT = """INSERT INTO outbox (event_id, topic, key, sequence, type, occurred_at, traceparent, data, snapshot)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[], $7::text[],
                     $8::bytea[], $9::boolean[])"""


class HasEvents(Protocol):
    """An aggregate: something with an id whose events are counted."""

    id: Any
    event_sequence: Any


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row of the table ``outbox``, before the relay has seen it."""

    event_id: UUID
    topic: str
    key: UUID
    sequence: int
    type: str
    occurred_at: datetime
    traceparent: str | None
    data: bytes
    snapshot: bool


AnySession: TypeAlias = AsyncSession | Session


def add(
    session: AnySession, event: Event, aggregate: HasEvents, *, at: datetime | None = None, snapshot: bool = False
) -> OutboxRow:
    """Publish ``event`` about ``aggregate`` when this transaction commits.

    Args:
        session: the open transaction.
        event: the fact.
        aggregate: its ``event_sequence`` is counted up; the caller holds its row (``FOR UPDATE``) or has just made it.
        at: when it happened; now by default.
        snapshot: the event holds the whole state, so a consumer that knows nothing of the aggregate may start here.

    Raises:
        ValueError: the body is larger than 256 KiB.
    """
    data = event.model_dump_json().encode()
    if len(data) > BODY_LIMIT:
        raise ValueError(f"{event.TYPE} is larger than {BODY_LIMIT} bytes")
    aggregate.event_sequence = (aggregate.event_sequence or 0) + 1
    row = OutboxRow(
        new_id(),
        event.TOPIC,
        aggregate.id,
        aggregate.event_sequence,
        event.TYPE,
        at or SystemClock().now(),
        telemetry.current_traceparent(),
        data,
        snapshot,
    )
    session.info.setdefault(PENDING, []).append(row)
    return row


def take(info: dict[Any, Any]) -> tuple[list[Any], ...]:
    """The arguments of :data:`INSERT` for what was added; whoever takes them writes them in this transaction."""
    rows: list[OutboxRow] = info.pop(PENDING, [])
    if not rows:
        return ()
    info[_WROTE] = True
    columns = zip(
        *(
            (r.event_id, r.topic, r.key, r.sequence, r.type, r.occurred_at, r.traceparent, r.data, r.snapshot)
            for r in rows
        ),
        strict=True,
    )
    return tuple(list(column) for column in columns)


async def _write(info: dict[Any, Any], driver: Any) -> int:
    columns = take(info)
    if not columns:
        return 0
    await driver.execute(INSERT, *columns)
    return len(columns[0])


@sqlalchemy_event.listens_for(TownSession, "before_commit")
def _write_before_commit(session: Session) -> None:
    """Write what a job or a consumer has added; the request path has done so itself."""
    if session.info.get(PENDING):
        session.flush()
        driver = session.connection().connection.driver_connection
        await_only(_write(session.info, driver))


@sqlalchemy_event.listens_for(TownSession, "after_transaction_create")
def _remember_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        _savepoints[transaction] = len(session.info.get(PENDING, ()))


@sqlalchemy_event.listens_for(TownSession, "after_soft_rollback")
def _forget_rolled_back(session: Session, transaction: SessionTransaction) -> None:
    """What was added since a savepoint (or since the beginning) goes with it."""
    kept = _savepoints.get(transaction, 0)
    if PENDING in session.info:
        del session.info[PENDING][kept:]


@sqlalchemy_event.listens_for(TownSession, "after_transaction_end")
def _wake_relay(session: Session, transaction: SessionTransaction) -> None:
    """After the commit, never in it: NOTIFY inside would hold a lock of the whole server through the flush."""
    if transaction.parent is None and session.info.pop(_WROTE, False):
        notify.wake(session.get_bind())
