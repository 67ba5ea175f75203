"""Every query of 封印アカウント."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.sealed_staff_accounts.domain import wait_after
from town_identity.sealed_staff_accounts.models import (
    SealedStaffAccount,
    SealedStaffAccountTry,
    SealedStaffAccountUse,
)


async def account_of(session: AsyncSession, username: str, *, lock: bool = False) -> SealedStaffAccount | None:
    """The account of a user name that was not withdrawn."""
    query = select(SealedStaffAccount).where(
        SealedStaffAccount.username == username, SealedStaffAccount.withdrawn_at.is_(None)
    )
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def accounts(session: AsyncSession) -> Sequence[SealedStaffAccount]:
    """All accounts, by label."""
    return (await session.execute(select(SealedStaffAccount).order_by(SealedStaffAccount.label))).scalars().all()


async def uses(session: AsyncSession, *, unreviewed: bool) -> Sequence[SealedStaffAccountUse]:
    """What envelopes were opened for, oldest first."""
    query = select(SealedStaffAccountUse).order_by(SealedStaffAccountUse.intended_at)
    if unreviewed:
        query = query.where(SealedStaffAccountUse.reviewed_at.is_(None))
    return (await session.execute(query)).scalars().all()


async def counts(session: AsyncSession) -> tuple[int, int]:
    """How many seals are broken, and how many uses nobody has looked at."""
    broken = select(func.count()).where(
        SealedStaffAccount.broken_at.is_not(None), SealedStaffAccount.withdrawn_at.is_(None)
    )
    unreviewed = select(func.count()).where(SealedStaffAccountUse.reviewed_at.is_(None))
    row = (await session.execute(select(broken.scalar_subquery(), unreviewed.scalar_subquery()))).one()
    return int(row[0]), int(row[1])


async def count_try(session: AsyncSession, digest: bytes, at: datetime) -> timedelta | None:
    """Count a try unless it must wait; zero: it may go on, else how long to wait, None: locked."""
    # One statement makes the row or locks it: between two, whoever signs in forgets the tries and the row is gone.
    own = insert(SealedStaffAccountTry).values(username_digest=digest, tries=0, tried_at=at)
    locked = own.on_conflict_do_update(index_elements=["username_digest"], set_={"username_digest": digest})
    row = (await session.execute(locked.returning(SealedStaffAccountTry))).scalar_one()
    pause = wait_after(row.tries)
    if pause is None:
        return None
    if row.tried_at + pause > at:
        return row.tried_at + pause - at
    row.tries, row.tried_at = row.tries + 1, at
    return timedelta(0)


async def forget_tries(session: AsyncSession, digest: bytes) -> bool:
    """Begin to count anew; whether anything was counted."""
    gone = delete(SealedStaffAccountTry).where(SealedStaffAccountTry.username_digest == digest)
    return bool((await session.execute(gone.returning(SealedStaffAccountTry.tries))).all())


async def forget_tries_before(session: AsyncSession, at: datetime) -> None:
    """Forget tries of long ago."""
    await session.execute(delete(SealedStaffAccountTry).where(SealedStaffAccountTry.tried_at < at))


async def issued(session: AsyncSession, use: UUID, at: datetime) -> None:
    """Mark that the token of a use is handed out."""
    await session.execute(update(SealedStaffAccountUse).where(SealedStaffAccountUse.id == use).values(issued_at=at))


async def review(session: AsyncSession, use: UUID, by: str, note: str, at: datetime) -> bool:
    """Close a use that nobody has looked at; whether there was one."""
    closed = (
        update(SealedStaffAccountUse)
        .where(SealedStaffAccountUse.id == use, SealedStaffAccountUse.reviewed_at.is_(None))
        .values(reviewed_at=at, reviewed_by=by, note=note)
        .returning(SealedStaffAccountUse.id)
    )
    return (await session.execute(closed)).one_or_none() is not None
