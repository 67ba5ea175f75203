"""Use cases of the lists: mark as handled."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.problems import StateConflict
from town_notifications.messages import Handling, Message, State, find_listed


async def handle(
    session: AsyncSession,
    message_id: UUID,
    handling: Handling,
    note: str | None,
    officer: Principal,
    *,
    expected_version: int,
    at: datetime,
) -> Message:
    """Write down what staff did with a message, who and when.

    Raises:
        NotFound: it is on no list.
        StateConflict: it was handled before, or the person has read it in the app meanwhile.
        PreconditionFailed: it has another version.
    """
    message = await find_listed(session, message_id, officer, expected_version=expected_version)
    if message.state != State.HANDED_TO_STAFF:
        raise StateConflict("本人がアプリで読みました。対応は不要です。")
    if message.handled_at is not None:
        raise StateConflict("すでに対応済みです。一覧を読み直してください。")
    message.handle(handling, note, by=officer.id, at=at)
    return message
