"""Every query of callbacks; a client sees its own, the worker all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, delete, false, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.callbacks.domain import CallbackState, DeliveryState
from town_gateway.callbacks.models import Callback, CallbackAttempt, CallbackDelivery
from town_kit.auth import Principal, Role
from town_kit.problems import NotFound


def visible_to(principal: Principal) -> Select[Callback]:
    """What a principal may see: a vendor's client its own callbacks, everybody else none."""
    mine = Callback.owner_id == principal.id if principal.role is Role.VENDOR else false()
    return select(Callback).where(mine)


async def one(session: AsyncSession, callback_id: UUID, principal: Principal, *, lock: bool = False) -> Callback:
    """A callback.

    Raises:
        NotFound: there is none, or it is another client's.
    """
    query = visible_to(principal).where(Callback.id == callback_id)
    found = (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    if found is None:
        raise NotFound("通知先が見つかりません。一覧を読み直してください。")
    return found


async def all_of(session: AsyncSession, principal: Principal) -> list[Callback]:
    """The callbacks of a client, oldest first; they are few."""
    query = visible_to(principal).order_by(Callback.registered_at, Callback.id)
    return list((await session.execute(query)).scalars())


async def deliveries(
    session: AsyncSession, callback: Callback, *, state: str | None, after: tuple[Any, ...] | None, limit: int
) -> list[CallbackDelivery]:
    """Up to ``limit + 1`` deliveries, newest first, behind the row ``after`` (occurred_at, id)."""
    query = select(CallbackDelivery).where(CallbackDelivery.callback_id == callback.id)
    if state is not None:
        query = query.where(CallbackDelivery.state == state)
    if after is not None:
        at, last = after
        same = and_(CallbackDelivery.occurred_at == at, CallbackDelivery.id < last)
        query = query.where(or_(CallbackDelivery.occurred_at < at, same))
    query = query.order_by(CallbackDelivery.occurred_at.desc(), CallbackDelivery.id.desc()).limit(limit + 1)
    return list((await session.execute(query)).scalars())


async def delivery(session: AsyncSession, callback: Callback, delivery_id: UUID) -> CallbackDelivery:
    """A delivery of a callback, locked.

    Raises:
        NotFound: there is none.
    """
    query = select(CallbackDelivery).where(
        CallbackDelivery.id == delivery_id, CallbackDelivery.callback_id == callback.id
    )
    found = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if found is None:
        raise NotFound("配信が見つかりません。一覧を読み直してください。")
    return found


async def attempts(session: AsyncSession, delivery_ids: Sequence[UUID]) -> dict[UUID, list[CallbackAttempt]]:
    """The tries of these deliveries, in order."""
    query = select(CallbackAttempt).where(CallbackAttempt.delivery_id.in_(delivery_ids))
    found: dict[UUID, list[CallbackAttempt]] = {each: [] for each in delivery_ids}
    for attempt in (await session.execute(query.order_by(CallbackAttempt.number))).scalars():
        found[attempt.delivery_id].append(attempt)
    return found


async def of_client(session: AsyncSession, client_id: str) -> Sequence[Row[UUID, UUID, str]]:
    """Id, owner and state of the callbacks of a client, by the name that stands in events.

    Asked once in a transaction: a batch has hundreds of events of the same few clients.
    """
    known: dict[str, Sequence[Row[UUID, UUID, str]]] = session.info.setdefault("callbacks_of_client", {})
    if client_id not in known:
        query = select(Callback.id, Callback.owner_id, Callback.state).where(Callback.client_id == client_id)
        known[client_id] = (await session.execute(query)).all()
    return known[client_id]


async def keep(session: AsyncSession, **values: Any) -> None:
    """Write a delivery down; one that is known stays as it is."""
    row = {"attempts": 0, "schedule_from": 0, "settled_at": None, **values}
    await session.execute(insert(CallbackDelivery).values(row).on_conflict_do_nothing())


async def callbacks_due(session: AsyncSession, now: datetime, *, but: Sequence[UUID], limit: int) -> list[UUID]:
    """Callbacks with a delivery that is due, the longest waiting first, without those of ``but``."""
    query = (
        select(CallbackDelivery.callback_id)
        .where(CallbackDelivery.state == DeliveryState.WAITING, CallbackDelivery.next_attempt_at <= now)
        .where(CallbackDelivery.callback_id.not_in(but))
        .group_by(CallbackDelivery.callback_id)
        .order_by(func.min(CallbackDelivery.next_attempt_at))
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def take_due(session: AsyncSession, callback_id: UUID, now: datetime) -> CallbackDelivery | None:
    """The next due delivery of a callback, locked; None when there is none, or another worker has it."""
    query = (
        select(CallbackDelivery)
        .where(CallbackDelivery.callback_id == callback_id, CallbackDelivery.state == DeliveryState.WAITING)
        .where(CallbackDelivery.next_attempt_at <= now)
        .order_by(CallbackDelivery.next_attempt_at, CallbackDelivery.occurred_at, CallbackDelivery.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def disable(session: AsyncSession, callback_id: UUID) -> None:
    """Stop telling a callback anything; what waits for it is parked, not dropped."""
    await session.execute(update(Callback).where(Callback.id == callback_id).values(state=CallbackState.DISABLED))
    waiting = update(CallbackDelivery).where(
        CallbackDelivery.callback_id == callback_id, CallbackDelivery.state == DeliveryState.WAITING
    )
    await session.execute(waiting.values(state=DeliveryState.PARKED))


_PARKED = text(
    """SELECT d.id, c.client_id, c.url, c.state AS callback_state, d.event_type, d.occurred_at, d.attempts,
              (SELECT a.result FROM callback_attempts a WHERE a.delivery_id = d.id
               ORDER BY a.number DESC LIMIT 1) AS result
         FROM callback_deliveries d JOIN callbacks c ON c.id = d.callback_id
        WHERE d.state = 'parked' ORDER BY d.occurred_at, d.id LIMIT 1000"""
)
_RETRY = text(
    """UPDATE callback_deliveries d
          SET state = 'waiting', schedule_from = attempts, next_attempt_at = :now
         FROM callbacks c
        WHERE c.id = d.callback_id AND c.state = 'active' AND d.state = 'parked'
          AND (cast(:delivery AS uuid) IS NULL OR d.id = :delivery)
          AND (cast(:client AS text) IS NULL OR c.client_id = :client)
        RETURNING d.id"""
)
_COUNT_PARKED = text("SELECT count(*) FROM callback_deliveries WHERE state = 'parked'")


async def parked(session: AsyncSession) -> Sequence[Any]:
    """The operator's queue: deliveries that are not tried any more, oldest first."""
    return (await session.execute(_PARKED)).all()


async def count_parked(session: AsyncSession) -> int:
    """How many there are."""
    return int((await session.execute(_COUNT_PARKED)).scalar_one())


async def retry(session: AsyncSession, now: datetime, *, delivery: UUID | None, client: str | None) -> int:
    """Begin the tries anew for one parked delivery, or for all of a client; a disabled callback's stay parked."""
    values = {"now": now, "delivery": delivery, "client": client}
    return len((await session.execute(_RETRY, values)).all())


async def forget_delivered(session: AsyncSession, before: datetime) -> int:
    """Remove deliveries that were delivered long ago, with their attempts."""
    old = delete(CallbackDelivery).where(
        CallbackDelivery.state == DeliveryState.DELIVERED, CallbackDelivery.settled_at < before
    )
    return len((await session.execute(old.returning(CallbackDelivery.id))).all())
