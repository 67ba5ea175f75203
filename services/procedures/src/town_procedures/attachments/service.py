"""Keeping uploaded files, finding them by their hash, and marking them as used."""

import hmac
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.db import Database
from town_kit.problems import FieldError, NotFound, StateConflict, ValidationFailed
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
            errors.append(_again(index))
        else:
            found.append(row)
    if errors:
        raise ValidationFailed("添付書類を確認してください。", errors=errors)
    return found


async def add(session: AsyncSession, attachment: Attachment) -> None:
    """Keep an uploaded file under the id its sender chose.

    Raises:
        StateConflict: the sender, or for staff anybody, has a file of that id.
        NotFound: somebody else has, which the sender does not see.
    """
    values = {column.key: getattr(attachment, column.key) for column in Attachment.__table__.columns}
    # Row security hides another's row from a look-up, and not from the primary key.
    added = await session.execute(
        insert(Attachment)
        .values(values)
        .on_conflict_do_nothing(index_elements=[Attachment.id])
        .returning(Attachment.id)
    )
    if added.first() is None:
        await refuse_known(session, attachment.id)
        raise NotFound("添付書類が見つかりません。新しい識別子で送ってください。")


async def refuse_known(session: AsyncSession, attachment_id: UUID) -> None:
    """Refuse an id under which the caller sees a file.

    Raises:
        StateConflict: there is one.
    """
    if (await session.execute(select(Attachment.id).where(Attachment.id == attachment_id))).first() is not None:
        raise StateConflict("この識別子は使われています。新しい識別子で送ってください。")


async def mark_used(session: AsyncSession, attachment_ids: Sequence[UUID]) -> None:
    """Note that an application holds these files, so that they are kept and no other can hold them.

    Raises:
        ValidationFailed: another application has taken one of them since it was found.
    """
    if not attachment_ids:
        return
    query = (
        update(Attachment)
        .where(Attachment.id.in_(attachment_ids), Attachment.used_at.is_(None))
        .values(used_at=func.now())
        .returning(Attachment.id)
    )
    taken = set((await session.execute(query)).scalars())
    lost = [_again(index) for index, each in enumerate(attachment_ids) if each not in taken]
    if lost:
        raise ValidationFailed("添付書類を確認してください。", errors=lost)


def _again(index: int) -> FieldError:
    return FieldError(f"/attachments/{index}", "attachment", "添付書類をもう一度アップロードしてください。")
