"""Use cases of staff sign-in."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.sealing import Sealer
from town_identity.staff_sessions.directory import StaffIdentity
from town_identity.staff_sessions.models import StaffAccount, StaffAuthorization
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.problems import InsufficientScope, StateConflict

LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a sign-in starts with; ``state`` goes through the browser, the rest stays here."""

    state: str
    nonce: str
    verifier: str


def new_beginning() -> Beginning:
    """Fresh random values."""
    return Beginning(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


def remember(session: AsyncSession, sealer: Sealer, beginning: Beginning, at: datetime) -> datetime:
    """Keep a sign-in until it is redeemed; answers until when."""
    digest = _digest(beginning.state)
    session.add(
        StaffAuthorization(
            state_hash=digest,
            nonce=beginning.nonce,
            verifier_sealed=sealer.seal(beginning.verifier.encode(), digest),
            expires_at=at + LIFETIME,
            used_at=None,
        )
    )
    return at + LIFETIME


async def redeem(database: Database, sealer: Sealer, state: str, at: datetime) -> Beginning:
    """Use up a sign-in, in a transaction of its own.

    Raises:
        StateConflict: it was used, has run out, or never was.
    """
    digest = _digest(state)
    used = (
        update(StaffAuthorization)
        .where(
            StaffAuthorization.state_hash == digest,
            StaffAuthorization.used_at.is_(None),
            StaffAuthorization.expires_at > at,
        )
        .values(used_at=at)
        .returning(StaffAuthorization.nonce, StaffAuthorization.verifier_sealed)
        .execution_options(synchronize_session=False)
    )
    async with database.begin() as session:
        row = (await session.execute(used)).one_or_none()
    if row is None:
        raise StateConflict("この職員ログインはもう使えません。最初からやり直してください。")
    return Beginning(state, row.nonce, sealer.open(row.verifier_sealed, digest).decode())


async def account_of(session: AsyncSession, issuer: str, identity: StaffIdentity, at: datetime) -> StaffAccount:
    """The account of a subject, made at the first sign-in.

    Raises:
        InsufficientScope: the account was closed.
    """
    groups = sorted(identity.groups)
    values = {
        "id": new_id(),
        "issuer": issuer,
        "subject": identity.subject,
        "groups": groups,
        "created_at": at,
        "last_login_at": at,
    }
    upsert = insert(StaffAccount).values(values)
    await session.execute(
        upsert.on_conflict_do_update(index_elements=["issuer", "subject"], set_={"groups": groups, "last_login_at": at})
    )
    query = select(StaffAccount).where(StaffAccount.issuer == issuer, StaffAccount.subject == identity.subject)
    account = (await session.execute(query)).scalar_one()
    if account.disabled_at is not None:
        raise InsufficientScope("この職員アカウントは停止されています。管理者に確認してください。")
    return account


async def delete_expired(database: Database, at: datetime) -> int:
    """Remove sign-ins that ran out a day ago; answers 0, for there is never a hurry."""
    async with database.begin() as session:
        query = delete(StaffAuthorization).where(StaffAuthorization.expires_at < at - timedelta(days=1))
        await session.execute(query)
    return 0


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
