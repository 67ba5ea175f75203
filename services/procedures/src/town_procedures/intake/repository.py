"""The lock of a receipt number: two deliveries under one number are taken one after the other."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 7462))")


async def lock_receipt(session: AsyncSession, source: str, receipt_no: str) -> None:
    """Hold the receipt number until the transaction ends."""
    await session.execute(LOCK, {"name": f"{source}\n{receipt_no}"})
