"""Keeping a raw package, and finding it again."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.blobs import BlobStore, Recipient
from town_kit.problems import NotFound
from town_procedures.raw_packages.models import RawPackage

MEDIA_TYPE = "application/zip"


async def keep(
    session: AsyncSession,
    blobs: BlobStore,
    content: AsyncIterator[bytes],
    *,
    source: str,
    receipt_no: str,
    digest: bytes,
    content_digest: bytes | None,
    size: int,
    received_at: datetime,
    now: datetime,
) -> RawPackage:
    """Store a package as it came, encrypted to the vault, in the caller's transaction."""
    blob_id = await blobs.write(
        session, content, owner="raw_packages", media_type=MEDIA_TYPE, recipient=Recipient.VAULT
    )
    await blobs.reference(session, blob_id)
    package = RawPackage(
        source=source,
        receipt_no=receipt_no,
        digest=digest,
        content_digest=content_digest,
        blob_id=blob_id,
        size=size,
        received_at=received_at,
        recorded_at=now,
        application_id=None,
    )
    session.add(package)
    await session.flush()
    return package


async def find(session: AsyncSession, source: str, receipt_no: str, digest: bytes) -> RawPackage | None:
    """The package with exactly these bytes under a receipt number."""
    query = select(RawPackage).where(
        RawPackage.source == source, RawPackage.receipt_no == receipt_no, RawPackage.digest == digest
    )
    return (await session.execute(query)).scalar_one_or_none()


async def one(session: AsyncSession, raw_package_id: UUID) -> RawPackage:
    """A package by id.

    Raises:
        NotFound: there is none, or the principal may not see it.
    """
    found = await session.get(RawPackage, raw_package_id)
    if found is None:
        raise NotFound("原本が見つかりません。識別子を確認してください。")
    return found


async def belongs_to(session: AsyncSession, blob_id: UUID) -> bool:
    """Whether a blob is the bytes of a raw package, which outlive a revision."""
    query = select(RawPackage.id).where(RawPackage.blob_id == blob_id)
    return (await session.execute(query)).first() is not None
