"""Use cases of an emergency message: confirm, take back."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.ids import new_id, reference
from town_notifications.emergency_messages import repository
from town_notifications.emergency_messages.domain import State, Status, content_digest, move
from town_notifications.emergency_messages.errors import PreviewOutdated
from town_notifications.emergency_messages.models import EmergencyMessage
from town_notifications.emergency_messages.schemas import EmergencyContent, EmergencyRequest

NOBODY = UUID(int=0)


def digest_of(content: EmergencyContent) -> str:
    """The digest of what a preview shows."""
    return content_digest(content.plain(), content.status, content.valid_hours)


def confirm(
    session: AsyncSession, wanted: EmergencyRequest, officer: Principal, *, at: datetime, follows: UUID | None = None
) -> EmergencyMessage:
    """Write an emergency message down; the urgent job brings it to everybody from the next moment on.

    Raises:
        PreviewOutdated: the content is not the one that was previewed.
    """
    if digest_of(wanted) != wanted.confirmed_digest:
        raise PreviewOutdated("もう一度プレビューで内容を確認してから配信してください。")
    message = EmergencyMessage(
        id=new_id(),
        version=1,
        reference=reference("K"),
        status=wanted.status.value,
        texts=wanted.plain(),
        content_digest=wanted.confirmed_digest,
        state=move(None, State.CONFIRMED).value,
        created_at=at,
        created_by=officer.id,
        valid_until=at + timedelta(hours=wanted.valid_hours),
        reached_to=NOBODY,
        persons=0,
        withheld={},
        follows=follows,
        settled=True,
    )
    session.add(message)
    return message


async def cancel(
    session: AsyncSession,
    emergency_message_id: UUID,
    correction: EmergencyRequest,
    officer: Principal,
    *,
    expected_version: int,
    at: datetime,
) -> EmergencyMessage:
    """Take one back: what was not sent is stopped, and everybody gets the correction. Answers the correction.

    A drill can be taken back only by a drill, and a real one only by a real one.

    Raises:
        StateConflict: it was taken back before.
        PreviewOutdated: the correction is not the one that was previewed, or is of another status.
    """
    message = await repository.locked(session, emergency_message_id, expected_version=expected_version)
    if Status(message.status) is not correction.status:
        raise PreviewOutdated("訂正は、取り消す緊急情報と同じ種別（実際・訓練・試験）で作ってください。")
    message.cancel(by=officer.id, at=at)
    return confirm(session, correction, officer, at=at, follows=message.id)
