"""Use cases of an emergency message: confirm, take back."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.ids import new_id, reference
from town_kit.messaging import notify
from town_notifications.emergency_messages import repository
from town_notifications.emergency_messages.domain import Content, State, Status, move
from town_notifications.emergency_messages.errors import PreviewOutdated
from town_notifications.emergency_messages.models import EmergencyMessage

NOBODY = UUID(int=0)


def confirm(
    session: AsyncSession,
    content: Content,
    officer: Principal,
    *,
    confirmed_digest: str,
    at: datetime,
    follows: UUID | None = None,
) -> EmergencyMessage:
    """Write an emergency message down; the urgent job brings it to everybody from the next moment on.

    Raises:
        PreviewOutdated: the content is not the one that was previewed.
    """
    if content.digest != confirmed_digest:
        raise PreviewOutdated("もう一度プレビューで内容を確認してから配信してください。")
    message = EmergencyMessage(
        id=new_id(),
        version=1,
        reference=reference("K"),
        status=content.status.value,
        texts={language: dict(text) for language, text in content.texts.items()},
        content_digest=confirmed_digest,
        state=move(None, State.CONFIRMED).value,
        created_at=at,
        created_by=officer.id,
        valid_until=at + timedelta(hours=content.valid_hours),
        reached_to=NOBODY,
        persons=0,
        withheld={},
        follows=follows,
        settled=True,
    )
    session.add(message)
    notify.urgent(session)
    return message


async def cancel(
    session: AsyncSession,
    emergency_message_id: UUID,
    correction: Content,
    officer: Principal,
    *,
    confirmed_digest: str,
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
    return confirm(session, correction, officer, confirmed_digest=confirmed_digest, at=at, follows=message.id)
