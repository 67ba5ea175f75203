"""Use cases of recipients: register, confirm, prefer."""

import hmac
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.ids import new_id
from town_kit.problems import FieldError, PreconditionFailed, StateConflict, ValidationFailed
from town_kit.writing import touch
from town_notifications.recipients import repository
from town_notifications.recipients.domain import (
    CODE_ATTEMPTS,
    CODE_LIFETIME,
    CODES_A_DAY,
    CONTACT_POINTS_A_PERSON,
    DEVICES_A_PERSON,
    ContactPointState,
    Platform,
    Wishes,
    confirmation_code,
    normalized_address,
)
from town_notifications.recipients.errors import TooManyRegistrations
from town_notifications.recipients.models import ContactPoint, Device, Preference


async def register_device(
    session: AsyncSession, person: Principal, *, app: str, platform: Platform, push_token: str, at: datetime
) -> Device:
    """Register a device, or renew its registration; whoever had the token before loses it.

    Raises:
        TooManyRegistrations: the person has 20 devices.
    """
    await repository.release_token(session, app=app, token=push_token, keep=person.id, role=person.role.value)
    device = await repository.device_by_token(session, person, app=app, token=push_token)
    if device is None:
        if await repository.count_of(session, Device, person) >= DEVICES_A_PERSON:
            raise TooManyRegistrations("使っていない端末の登録を消してから、もう一度お試しください。")
        device = Device(id=new_id(), person_id=person.id, app=app, push_token=push_token)
        session.add(device)
    device.platform, device.registered_at = platform, at
    touch(session, subjects=[person.id], fields=("devices",))
    return device


async def remove_device(session: AsyncSession, person: Principal, device_id: UUID) -> None:
    """Forget a device."""
    await session.delete(await repository.device(session, person, device_id))
    touch(session, subjects=[person.id], fields=("devices",))


async def register_address(session: AsyncSession, person: Principal, address: str, *, at: datetime) -> ContactPoint:
    """Register an e-mail address; the worker mails its code. An address registered before is answered as it stands.

    Raises:
        ValidationFailed: it is no address.
        TooManyRegistrations: the person has 3.
    """
    normal = normalized_address(address)
    if normal is None:
        raise ValidationFailed(
            "メールアドレスを確認してください。",
            errors=[FieldError("/address", "address", "メールアドレスの形ではありません。入力し直してください。")],
        )
    known = await repository.contact_points_of(session, person)
    touch(session, subjects=[person.id], fields=("contact_points",))
    for point in known:
        if point.address == normal:
            return point
    if len(known) >= CONTACT_POINTS_A_PERSON:
        raise TooManyRegistrations("使っていない連絡先を消してから、もう一度お試しください。")
    point = ContactPoint(
        id=new_id(),
        person_id=person.id,
        address=normal,
        state=ContactPointState.PENDING,
        registered_at=at,
        issue=1,
        issued_at=at,
        attempts=0,
        code_due_at=at,
        code_tries=0,
    )
    session.add(point)
    return point


async def send_another_code(
    session: AsyncSession, person: Principal, contact_point_id: UUID, *, at: datetime
) -> ContactPoint:
    """Have a new code mailed; the old one ends.

    Raises:
        StateConflict: the address is confirmed already.
        TooManyRegistrations: five codes were asked for today.
    """
    point = await repository.contact_point(session, person, contact_point_id)
    if point.state == ContactPointState.CONFIRMED:
        raise StateConflict("この連絡先は確認が済んでいます。そのままお使いいただけます。")
    if point.issue >= CODES_A_DAY and at - point.issued_at < timedelta(days=1):
        raise TooManyRegistrations("確認コードを送れる回数を超えました。明日、もう一度お試しください。")
    point.issue += 1
    point.issued_at, point.attempts = at, 0
    point.code_due_at, point.code_tries = at, 0
    point.state = ContactPointState.PENDING
    touch(session, subjects=[person.id], fields=("contact_points",))
    return point


async def confirm_address(
    session: AsyncSession, person: Principal, contact_point_id: UUID, code: str, *, key: bytes, at: datetime
) -> ContactPoint:
    """Check a code. A wrong one is no refusal but an answer, so that the count of attempts is kept.

    Raises:
        StateConflict: the code is too old or was guessed at five times; ask for another.
    """
    point = await repository.contact_point(session, person, contact_point_id)
    touch(session, subjects=[person.id], fields=("contact_points",))
    if point.state == ContactPointState.CONFIRMED:
        return point
    if point.attempts >= CODE_ATTEMPTS or at - point.issued_at > CODE_LIFETIME:
        raise StateConflict("確認コードの期限が切れています。新しいコードを送り直してください。")
    point.attempts += 1
    if hmac.compare_digest(confirmation_code(key, point.id, point.issue), code):
        point.state, point.confirmed_at, point.code_due_at = ContactPointState.CONFIRMED, at, None
    return point


async def remove_address(session: AsyncSession, person: Principal, contact_point_id: UUID) -> None:
    """Forget an e-mail address."""
    await session.delete(await repository.contact_point(session, person, contact_point_id))
    touch(session, subjects=[person.id], fields=("contact_points",))


async def prefer(
    session: AsyncSession, person: Principal, wishes: Wishes, *, expected_version: int, at: datetime
) -> Preference:
    """Set a person's preferences.

    Raises:
        PreconditionFailed: they have another version.
    """
    row = await repository.preference(session, person, lock=True)
    if (row.version if row else 0) != expected_version:
        raise PreconditionFailed("別の画面で変更されています。読み直してから設定してください。")
    if row is None:
        row = Preference(person_id=person.id, version=0)
        session.add(row)
    row.version += 1
    row.language, row.push, row.email = wishes.language, wishes.push, wishes.email
    row.quiet_from = wishes.quiet.start if wishes.quiet else None
    row.quiet_until = wishes.quiet.end if wishes.quiet else None
    row.updated_at = at
    touch(session, subjects=[person.id], fields=("preferences",))
    return row


def attempts_left(point: ContactPoint) -> int:
    """How often a code may still be tried."""
    return max(CODE_ATTEMPTS - point.attempts, 0) if point.state == ContactPointState.PENDING else 0
