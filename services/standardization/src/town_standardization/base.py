"""The base of this service's tables: one metadata, one database; and for which business a transaction acts."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.db import Base as KitBase


class Base(KitBase):
    """Base of the tables of `standardization`."""


async def act_for(session: AsyncSession, business_id: str) -> None:
    """Say for which 業務ID this transaction acts: row security shows a vendor the rows of that business alone.

    Call it only where the route's scope names the business.
    """
    await session.execute(text("SELECT set_config('town.business', :business, true)"), {"business": business_id})
