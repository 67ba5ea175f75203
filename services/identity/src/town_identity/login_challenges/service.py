"""Use cases of login challenges."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.login_challenges.domain import LIFETIME, NONCE_BYTES
from town_identity.login_challenges.models import LoginChallenge
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.problems import StateConflict


@dataclass(frozen=True, slots=True)
class RedeemedChallenge:
    """A challenge that was redeemed just now, by nobody else and never again."""

    client_id: str
    nonce: bytes
    issued_at: datetime


async def issue(session: AsyncSession, client_id: str, at: datetime) -> LoginChallenge:
    """A new challenge for an app."""
    challenge = LoginChallenge(
        id=new_id(),
        client_id=client_id,
        nonce=secrets.token_bytes(NONCE_BYTES),
        issued_at=at.replace(microsecond=0),
        expires_at=at + LIFETIME,
        used_at=None,
    )
    session.add(challenge)
    await session.flush()
    return challenge


async def redeem(database: Database, challenge_id: UUID, at: datetime) -> RedeemedChallenge:
    """Use up a challenge, in a transaction of its own: a failed answer must not bring it back.

    Raises:
        StateConflict: it was used, has run out, or never was.
    """
    used = (
        update(LoginChallenge)
        .where(LoginChallenge.id == challenge_id, LoginChallenge.used_at.is_(None), LoginChallenge.expires_at > at)
        .values(used_at=at)
        .returning(LoginChallenge.client_id, LoginChallenge.nonce, LoginChallenge.issued_at)
        .execution_options(synchronize_session=False)
    )
    async with database.begin() as session:
        row = (await session.execute(used)).one_or_none()
    if row is None:
        raise StateConflict("このログインはもう使えません。最初からやり直してください。")
    return RedeemedChallenge(row.client_id, row.nonce, row.issued_at)


async def delete_expired(database: Database, at: datetime) -> int:
    """Remove challenges that ran out a day ago; answers 0, for there is never a hurry."""
    async with database.begin() as session:
        await session.execute(delete(LoginChallenge).where(LoginChallenge.expires_at < at - 288 * LIFETIME))
    return 0
