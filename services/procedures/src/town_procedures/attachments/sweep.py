"""Removing files that no application named within 24 hours."""

from datetime import timedelta

from sqlalchemy import delete, select

from town_kit.blobs import BlobStore
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.service import exclusive
from town_procedures.attachments.models import Attachment

KEEP = timedelta(hours=24)
BATCH = 100


async def sweep_batch(database: Database, blobs: BlobStore, clock: Clock) -> int:
    """Remove up to 100 uploads older than 24 hours that no application holds; answers how many."""
    async with database.begin() as session:
        if not await exclusive(session, "attachments.sweeping"):
            return 0
        forgotten = (
            select(Attachment.id, Attachment.blob_id)
            .where(Attachment.used_at.is_(None), Attachment.uploaded_at < clock.now() - KEEP)
            .limit(BATCH)
        )
        rows = (await session.execute(forgotten)).all()
        for row in rows:
            await blobs.remove(session, row.blob_id)
        await session.execute(delete(Attachment).where(Attachment.id.in_([row.id for row in rows])))
        return len(rows)
