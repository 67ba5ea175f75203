"""Every query of My Numbers; row security shows a row only to a transaction that names its business."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_standardization.my_numbers.models import StoredNumber


async def by_digest(session: AsyncSession, digest: bytes) -> StoredNumber | None:
    """The row of a number, by exact match."""
    return (await session.execute(select(StoredNumber).where(StoredNumber.digest == digest))).scalar_one_or_none()


async def of_addressee(session: AsyncSession, addressee_id: UUID) -> StoredNumber | None:
    """The number of an addressee."""
    query = select(StoredNumber).where(StoredNumber.addressee_id == addressee_id)
    return (await session.execute(query)).scalar_one_or_none()
