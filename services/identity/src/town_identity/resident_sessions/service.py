"""Use cases of residents' sessions: begin, refresh, list, end."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.jpki import Status
from town_identity.keys import IssuedToken
from town_identity.persons import CertificateSerial, question_of
from town_identity.ports import Ports
from town_identity.resident_sessions.models import RefreshToken, ResidentSession
from town_kit.auth import Principal, Role
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.problems import JpkiStatusUnavailable, NotFound

# RFC 8176: a key in hardware, opened with a PIN
CARD_FACTORS = ("hwk", "pin")


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What a device gets: a short access token and the refresh token for the next one."""

    session: ResidentSession
    access: IssuedToken
    refresh_token: str = field(repr=False)
    refresh_expires_at: datetime


async def begin(
    session: AsyncSession, wired: Ports, certificate: CertificateSerial, client_id: str, device_name: str
) -> SessionTokens:
    """Log a device in for the person of a verified 利用者証明用 certificate."""
    now = wired.clock.now()
    created = ResidentSession(
        id=new_id(),
        person_id=certificate.person_id,
        certificate_id=certificate.id,
        client_id=client_id,
        device_name=device_name,
        created_at=now,
        last_used_at=now,
        revoked_at=None,
        revoked_because=None,
    )
    session.add(created)
    await session.flush()
    return await _tokens(session, wired, created, now)


async def refresh(session: AsyncSession, wired: Ports, token: str, client_id: str | None) -> SessionTokens | None:
    """New tokens for a refresh token, which is used up; None when it is not good for any.

    A token used twice was copied by somebody: then the session of its device ends (RFC 9700 §4.14). It also ends when
    the certificate has run out or been revoked since.

    Raises:
        JpkiStatusUnavailable: no current list says whether it has been; as at a login, that is no yes. The session
            and its refresh token stay as they are, for another try.
    """
    now, digest = wired.clock.now(), hashlib.sha256(token.encode()).digest()
    row = (
        await session.execute(select(RefreshToken).where(RefreshToken.token_hash == digest).with_for_update())
    ).scalar_one_or_none()
    if row is None:
        return None
    found = await session.get_one(ResidentSession, row.session_id, with_for_update=True)
    if found.revoked_at is not None or row.expires_at <= now or (client_id or found.client_id) != found.client_id:
        return None
    if row.used_at is not None:
        _end(found, now, "refresh token used twice")
        return None
    certificate = await session.get_one(CertificateSerial, found.certificate_id)
    question = question_of(wired.sealer, certificate)
    if question.not_after < now:
        _end(found, now, "certificate ran out")
        return None
    match wired.jpki.check_status(question, now).status:
        case Status.REVOKED:
            _end(found, now, "certificate revoked")
            return None
        case Status.UNKNOWN:
            raise JpkiStatusUnavailable(
                "失効情報を確認できません。ログインはそのままです。しばらくしてからもう一度お試しください。",
                retry_after=300,
            )
    row.used_at = found.last_used_at = now
    return await _tokens(session, wired, found, now)


async def devices(session: AsyncSession, principal: Principal) -> list[ResidentSession]:
    """The devices on which a resident is logged in, newest use first."""
    query = (
        select(ResidentSession)
        .where(ResidentSession.person_id == principal.id, ResidentSession.revoked_at.is_(None))
        .order_by(ResidentSession.last_used_at.desc(), ResidentSession.id)
    )
    return list((await session.execute(query)).scalars())


async def end(session: AsyncSession, session_id: UUID, principal: Principal, at: datetime) -> None:
    """Log a device out; its refresh token is void at once, its access token within ten minutes.

    Raises:
        NotFound: the resident has no such device.
    """
    query = select(ResidentSession).where(
        ResidentSession.id == session_id,
        ResidentSession.person_id == principal.id,
        ResidentSession.revoked_at.is_(None),
    )
    found = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if found is None:
        raise NotFound("端末が見つかりません。一覧を読み直してください。")
    _end(found, at, "revoked by the resident")


async def is_live(session: AsyncSession, session_id: UUID) -> bool:
    """Whether a session has not been ended."""
    query = select(ResidentSession.id).where(ResidentSession.id == session_id, ResidentSession.revoked_at.is_(None))
    return (await session.execute(query)).one_or_none() is not None


async def follow_merge(session: AsyncSession, provisional: UUID, into: UUID) -> None:
    """The devices of a provisional person are those of the person she turned out to be."""
    query = update(ResidentSession).where(ResidentSession.person_id == provisional)
    await session.execute(query.values(person_id=into).execution_options(synchronize_session=False))


async def delete_expired(database: Database, at: datetime) -> int:
    """Remove refresh tokens a week after they ran out; answers 0, for there is never a hurry."""
    async with database.begin() as session:
        await session.execute(delete(RefreshToken).where(RefreshToken.expires_at < at - timedelta(days=7)))
    return 0


async def _tokens(session: AsyncSession, wired: Ports, found: ResidentSession, now: datetime) -> SessionTokens:
    refresh_token = secrets.token_urlsafe(32)
    expires_at = now + timedelta(days=wired.settings.refresh_days)
    session.add(
        RefreshToken(
            token_hash=hashlib.sha256(refresh_token.encode()).digest(),
            session_id=found.id,
            issued_at=now,
            expires_at=expires_at,
            used_at=None,
        )
    )
    access = wired.tokens.issue(
        subject=found.person_id,
        role=Role.RESIDENT,
        client_id=found.client_id,
        scopes=wired.scopes.resident,
        seconds=wired.settings.resident_token_seconds,
        amr=CARD_FACTORS,
        session_id=found.id,
    )
    return SessionTokens(found, access, refresh_token, expires_at)


def _end(found: ResidentSession, at: datetime, because: str) -> None:
    found.revoked_at, found.revoked_because = at, because
