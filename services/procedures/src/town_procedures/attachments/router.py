"""Uploading one file: stream, check in a thread, then one short transaction."""

import asyncio
import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import Query

from town_kit.archives import inspect_document
from town_kit.auth import RESIDENT, STAFF
from town_kit.problems import ArchiveUnsafe, DocumentUnsafe, NotFound, PayloadTooLarge, StateConflict, UnsupportedMedia
from town_kit.routing import Actor, Audit, Begin, ReceivedUpload, TownRouter
from town_kit.vaulting import keyed_digest
from town_procedures.attachments import service
from town_procedures.attachments.models import Attachment
from town_procedures.attachments.schemas import AttachmentView
from town_procedures.ports import Wired

MEDIA_TYPES = ("application/pdf", "image/jpeg", "image/png")
LARGEST = 10 * 1024 * 1024

router = TownRouter(prefix="/v1/attachments", tags=["添付書類"])


@router.put(
    "/{attachment_id}",
    scope="applications:submit",
    roles=(RESIDENT, STAFF),
    audit=Audit("attachment.upload", basis="行政手続法7条", purpose="申請の添付書類の受領"),
    problems=(PayloadTooLarge, UnsupportedMedia, DocumentUnsafe, ArchiveUnsafe, NotFound, StateConflict),
    upload=MEDIA_TYPES,
    max_body=LARGEST,
    status_code=201,
)
async def upload_attachment(
    attachment_id: UUID,
    kind: Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{1,40}$", description="書類の種類")],
    upload: ReceivedUpload,
    begin: Begin,
    actor: Actor,
    wired: Wired,
) -> AttachmentView:
    """添付書類を送る。識別子は送る側が決めます（UUID）。PDF・JPEG・PNG、10 MB まで。"""
    await asyncio.to_thread(inspect_document, upload.file, upload.media_type)
    sha256 = hashlib.sha256()
    async for chunk in upload.chunks():
        sha256.update(chunk)
    now = wired.clock.now()
    tx = await begin()
    await service.refuse_known(tx, attachment_id)
    blob_id = await wired.blobs.write(tx, upload.chunks(), owner="attachments", media_type=upload.media_type)
    await wired.blobs.reference(tx, blob_id)  # held by this row, which sweep.py removes when nobody names it
    row = Attachment(
        id=attachment_id,
        uploaded_by=actor.id,
        kind=kind,
        media_type=upload.media_type,
        size=upload.size,
        digest=keyed_digest(wired.digest_key, sha256.digest()),
        blob_id=blob_id,
        uploaded_at=now,
        used_at=None,
    )
    await service.add(tx, row)
    return AttachmentView(
        id=row.id,
        kind=kind,
        media_type=row.media_type,
        size=row.size,
        sha256=sha256.hexdigest(),
        uploaded_at=now,
    )
