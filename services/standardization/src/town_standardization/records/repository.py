"""Every query of standard records; row security shows a vendor those of the business its scope names."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from town_standardization.records.models import Record

# Writers of one business stand in line, so that the order of positions is the order of commits: a reader who goes on
# from the last position it saw passes nothing over.
_TAKEN_BEFORE = text(
    """SELECT acknowledged_at FROM taken_before_restore
        WHERE business_id = :business AND key = :key AND history_number = :number"""
)
_LINE = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7461))")


async def stand_in_line(session: AsyncSession, business_id: str) -> None:
    """Wait for the other writers of this business; held until the transaction ends."""
    await session.execute(_LINE, {"name": f"records {business_id}"})


async def newest(session: AsyncSession, business_id: str, key: str) -> Record | None:
    """The record with the highest 履歴番号 under a key."""
    query = (
        select(Record)
        .where(Record.business_id == business_id, Record.key == key)
        .order_by(Record.history_number.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def after(session: AsyncSession, business_id: str, position: int, limit: int) -> Sequence[Record]:
    """Records behind a position, in order."""
    query = (
        select(Record)
        .where(Record.business_id == business_id, Record.position > position, Record.withheld.is_(False))
        .order_by(Record.position)
        .limit(limit)
    )
    return (await session.execute(query)).scalars().all()


async def taken_before(session: AsyncSession, business_id: str, key: str, history_number: int) -> datetime | None:
    """When the core system took a record of that name before a restore, as its own list says."""
    values = {"business": business_id, "key": key, "number": history_number}
    found: datetime | None = (await session.execute(_TAKEN_BEFORE, values)).scalar_one_or_none()
    return found


async def named(session: AsyncSession, business_id: str, names: Sequence[tuple[str, int]]) -> Sequence[Record]:
    """Records by (key, history number), locked in one order."""
    query = (
        select(Record)
        .where(Record.business_id == business_id, tuple_(Record.key, Record.history_number).in_(names))
        .order_by(Record.id)
        .with_for_update()
    )
    return (await session.execute(query)).scalars().all()


async def unexported(session: AsyncSession, business_id: str, limit: int) -> Sequence[Record]:
    """Records that stand in no file yet, oldest first, locked."""
    query = (
        select(Record)
        .where(Record.business_id == business_id, Record.export_id.is_(None), Record.withheld.is_(False))
        .order_by(Record.position)
        .limit(limit)
        .with_for_update()
    )
    return (await session.execute(query)).scalars().all()
