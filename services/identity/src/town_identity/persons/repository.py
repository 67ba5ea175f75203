"""Every query of persons; what a principal may see is part of the query."""

from uuid import UUID

from sqlalchemy import Select, false, select
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.persons.models import Person
from town_kit.auth import Principal, Role
from town_kit.problems import NotFound


def visible_to(principal: Principal) -> Select[Person]:
    """A resident sees herself; staff and services everybody; vendors nobody."""
    query = select(Person)
    if principal.role is Role.RESIDENT:
        return query.where(Person.id == principal.id)
    return query if principal.role in {Role.STAFF, Role.SERVICE} else query.where(false())


async def one(session: AsyncSession, person_id: UUID, principal: Principal) -> Person:
    """A person to read.

    Raises:
        NotFound: there is none, or the principal may not see her.
    """
    found = (await session.execute(visible_to(principal).where(Person.id == person_id))).scalar_one_or_none()
    if found is None:
        raise NotFound("該当する人が見つかりません。識別子を確認してください。")
    return found


async def of_number(session: AsyncSession, addressee_number: str, principal: Principal) -> list[Person]:
    """Who has that 宛名番号: one person, or nobody whom the principal may see."""
    query = visible_to(principal).where(Person.addressee_number == addressee_number)
    return list((await session.execute(query)).scalars())
