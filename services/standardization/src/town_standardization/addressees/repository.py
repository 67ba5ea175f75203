"""Every query of addressees."""

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_standardization.addressees.domain import NumberPolicy
from town_standardization.addressees.models import Addressee, AddresseeHistory

_NEXT = text("SELECT nextval('addressee_numbers'), nextval('integrated_numbers')")
_TRIES = 100


async def by_id(session: AsyncSession, addressee_id: UUID) -> Addressee:
    """The addressee with that id, locked."""
    return (await session.execute(select(Addressee).where(Addressee.id == addressee_id).with_for_update())).scalar_one()


async def by_number(session: AsyncSession, number: str) -> Addressee | None:
    """The addressee with that 宛名番号, locked."""
    query = select(Addressee).where(Addressee.addressee_number == number).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def by_person(session: AsyncSession, person_id: UUID) -> Addressee | None:
    """The addressee of a person identity knows, locked."""
    query = select(Addressee).where(Addressee.person_id == person_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()


async def by_four(session: AsyncSession, key: str) -> list[Addressee]:
    """Everybody who has, or once had, these 基本4情報."""
    known = select(AddresseeHistory.addressee_id).where(AddresseeHistory.four_key == key)
    query = select(Addressee).where(Addressee.id.in_(known), Addressee.merged_into.is_(None)).limit(2)
    return list((await session.execute(query)).scalars())


async def next_numbers(session: AsyncSession, policy: NumberPolicy) -> tuple[str, str]:
    """A fresh 宛名番号 and 団体内統合宛名番号; a 宛名番号 that a core system has given is passed over.

    Raises:
        OverflowError: the range is used up.
    """
    for _ in range(_TRIES):
        addressee, integrated = (await session.execute(_NEXT)).one()
        number = policy.addressee_number(addressee)
        taken = await session.execute(select(Addressee.id).where(Addressee.addressee_number == number))
        if taken.scalar_one_or_none() is None:
            return number, policy.integrated_number(integrated)
    raise OverflowError("the range of numbers is used up")
