"""Finding uploaded files by their hash, and marking them as used."""

import hmac
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.db import Database
from town_kit.problems import FieldError, ValidationFailed
from town_kit.vaulting import keyed_digest
from town_procedures.attachments.models import Attachment


async def find(database: Database, named: Mapping[UUID, str], principal: Principal, *, key: bytes) -> list[Attachment]:
    """The unused files a caller names by id and SHA-256, in a short transaction of its own.

    Raises:
        ValidationFailed: a file is not there, is another's, was used already, or has another hash.
    """
    async with database.begin(role=principal.role.value, principal=principal.id) as session:
        query = select(Attachment).where(Attachment.id.in_(named), Attachment.uploaded_by == principal.id)
        rows = {row.id: row for row in (await session.execute(query)).scalars()}
    errors, found = [], []
    for index, (attachment_id, sha256) in enumerate(named.items()):
        row = rows.get(attachment_id)
        known = row is not None and row.used_at is None
        if row is None or not known or not hmac.compare_digest(row.digest, keyed_digest(key, bytes.fromhex(sha256))):
            errors.append(
                FieldError(f"/attachments/{index}", "attachment", "添付書類をもう一度アップロードしてください。")
            )
        else:
            found.append(row)
    if errors:
        raise ValidationFailed("添付書類を確認してください。", errors=errors)
    return found


async def mark_used(session: AsyncSession, attachment_ids: Sequence[UUID]) -> None:
    """Note that an application holds these files, so that they are kept."""
    if attachment_ids:
        query = update(Attachment).where(Attachment.id.in_(attachment_ids)).values(used_at=func.now())
        await session.execute(query)
