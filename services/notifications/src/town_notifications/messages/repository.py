"""Every query of messages; what a principal may see is part of the query."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, false, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal, Role
from town_kit.clock import JST
from town_kit.problems import NotFound, PreconditionFailed
from town_notifications.messages.domain import ListName, State
from town_notifications.messages.models import Message


def visible_to(principal: Principal) -> Select[Message]:
    """The messages a principal may see: a resident her own, staff and services all, vendors none."""
    query = select(Message)
    if principal.role is Role.RESIDENT:
        return query.where(Message.person_id == principal.id)
    return query if principal.role in {Role.STAFF, Role.SERVICE} else query.where(false())


async def one(session: AsyncSession, message_id: UUID, principal: Principal, *, lock: bool = False) -> Message:
    """A message.

    Raises:
        NotFound: there is none, or the principal may not see it.
    """
    query = visible_to(principal).where(Message.id == message_id)
    found = (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    if found is None:
        raise NotFound("お知らせが見つかりません。一覧を読み直してください。")
    return found


async def inbox(
    session: AsyncSession, principal: Principal, *, after: int | None, limit: int, unread: bool
) -> list[Message]:
    """Up to ``limit + 1`` messages, the last written first, behind the one at the position ``after``."""
    query = visible_to(principal)
    if unread:
        query = query.where(Message.read_at.is_(None))
    if after is not None:
        query = query.where(Message.position < after)
    query = query.order_by(Message.position.desc()).limit(limit + 1)
    return list((await session.execute(query)).scalars())


async def is_told(session: AsyncSession, event_id: UUID, message_ids: Sequence[UUID]) -> bool:
    """Whether an event already made its messages, or another event about the same move did."""
    query = select(exists().where(or_(Message.source_event_id == event_id, Message.id.in_(message_ids))))
    return bool((await session.execute(query)).scalar_one())


async def locked(session: AsyncSession, message_ids: Sequence[UUID]) -> list[Message]:
    """Messages to move, locked in the order of their ids."""
    query = select(Message).where(Message.id.in_(message_ids)).order_by(Message.id).with_for_update()
    return list((await session.execute(query)).scalars())


async def overdue(session: AsyncSession, *, now: datetime, limit: int) -> list[Message]:
    """Messages still on their way whose time to be handed over has come; those in other hands are passed over."""
    query = (
        select(Message)
        .where(Message.state == State.QUEUED.value, Message.hand_over_at <= now)
        .order_by(Message.hand_over_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list((await session.execute(query)).scalars())


async def queued_of_emergency(session: AsyncSession, emergency_message_id: UUID, *, limit: int) -> list[Message]:
    """Messages of an emergency message that are still on their way, locked."""
    query = (
        select(Message)
        .where(Message.emergency_message_id == emergency_message_id, Message.state == State.QUEUED.value)
        .order_by(Message.id)
        .limit(limit)
        .with_for_update()
    )
    return list((await session.execute(query)).scalars())


async def on_list(
    session: AsyncSession,
    principal: Principal,
    *,
    list_name: ListName,
    listed_on: date | None,
    handled: bool,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Message]:
    """Up to ``limit + 1`` messages of a list, oldest first, behind the row ``after`` (listed_at, id).

    What the person has read in the app meanwhile is no longer on it.
    """
    query = visible_to(principal).where(
        Message.state == State.HANDED_TO_STAFF.value, Message.list_name == list_name.value
    )
    query = query.where(Message.handled_at.is_not(None) if handled else Message.handled_at.is_(None))
    if listed_on is not None:
        begin = datetime.combine(listed_on, time(), JST)  # said of the moment, because lists are in its order
        query = query.where(Message.listed_at >= begin, Message.listed_at < begin + timedelta(days=1))
    if after is not None:
        query = query.where(tuple_(Message.listed_at, Message.id) > after)
    query = query.order_by(Message.listed_at, Message.id).limit(limit + 1)
    return list((await session.execute(query)).scalars())


async def listed(session: AsyncSession, message_id: UUID, principal: Principal, *, expected_version: int) -> Message:
    """A message on a list, locked, to be marked as handled.

    Raises:
        NotFound: there is none, or it is on no list.
        PreconditionFailed: it has another version than the caller decided on.
    """
    message = await one(session, message_id, principal, lock=True)
    if message.list_name is None:
        raise NotFound("この一覧にはありません。一覧を読み直してください。")
    if message.version != expected_version:
        raise PreconditionFailed("ほかの人が更新しました。一覧を読み直してから操作してください。")
    return message
