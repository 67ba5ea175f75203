"""Every query of emergency messages. They hold no person; staff see all of them."""

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.problems import NotFound, PreconditionFailed
from town_notifications.emergency_messages.domain import State
from town_notifications.emergency_messages.models import EmergencyMessage


async def one(session: AsyncSession, emergency_message_id: UUID) -> EmergencyMessage:
    """An emergency message.

    Raises:
        NotFound: there is none.
    """
    found = await session.get(EmergencyMessage, emergency_message_id)
    if found is None:
        raise NotFound("緊急情報が見つかりません。番号を確認してください。")
    return found


async def locked(session: AsyncSession, emergency_message_id: UUID, *, expected_version: int) -> EmergencyMessage:
    """An emergency message to change.

    Raises:
        NotFound: there is none.
        PreconditionFailed: it has another version than the caller decided on.
    """
    query = select(EmergencyMessage).where(EmergencyMessage.id == emergency_message_id).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("緊急情報が見つかりません。番号を確認してください。")
    if found.version != expected_version:
        raise PreconditionFailed("ほかの人が更新しました。画面を読み直してから操作してください。")
    return found


async def next_to_work_on(session: AsyncSession) -> EmergencyMessage | None:
    """The oldest one that is not written to everybody yet, or whose deliveries must be stopped; locked."""
    query = (
        select(EmergencyMessage)
        .where(or_(EmergencyMessage.state == State.CONFIRMED.value, EmergencyMessage.settled.is_(False)))
        .order_by(EmergencyMessage.settled, EmergencyMessage.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(query)).scalar_one_or_none()
