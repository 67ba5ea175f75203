"""HTTP to use cases and back."""

import asyncio
from uuid import UUID

from fastapi import Response

from town_identity.number_links import service
from town_identity.number_links.read import read_rows
from town_identity.number_links.schemas import NumberLinkView
from town_identity.ports import Wired
from town_kit.auth import STAFF
from town_kit.problems import PreconditionFailed, StateConflict, ValidationFailed
from town_kit.routing import Actor, Audit, Begin, ExpectedVersion, ReceivedUpload, TownRouter, Tx, etag

BASIS = "公的個人認証法17条"
MAX_FILE = 20 * 1024 * 1024

router = TownRouter(prefix="/v1/number-links", tags=["番号紐付"])


@router.post(
    "",
    scope="number-links:import",
    roles=(STAFF,),
    audit=Audit("number-link.preview", basis=BASIS, purpose="宛名番号の紐付けの確認"),
    problems=(ValidationFailed,),
    upload=("text/csv",),
    max_body=MAX_FILE,
    two_factors=True,
    status_code=201,
)
async def preview_number_links(
    upload: ReceivedUpload, begin: Begin, actor: Actor, wired: Wired, response: Response
) -> NumberLinkView:
    """番号紐付ファイルを読み、適用すると何が変わるかを示す。まだ何も変わりません。"""
    content = b"".join([chunk async for chunk in upload.chunks()])
    rows, errors = await asyncio.to_thread(read_rows, content, wired.number_links, wired.anchors)
    import_id, now = service.new_import_id(), wired.clock.now()
    sealed = await asyncio.to_thread(wired.sealer.seal, content, import_id.bytes)
    summary = await service.try_out(wired.database, wired.sealer, rows, errors, now)
    tx = await begin()
    found = service.new_import(sealed, import_id, actor.id, now)
    await service.preview(tx, found, summary)
    response.headers["ETag"] = etag(found.version)
    return NumberLinkView.of(found)


@router.post(
    "/{import_id}/apply",
    scope="number-links:import",
    roles=(STAFF,),
    audit=Audit("number-link.apply", basis=BASIS, purpose="宛名番号の紐付け"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
    two_factors=True,
)
async def apply_number_links(
    import_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> NumberLinkView:
    """確認した番号紐付ファイルを適用する。"""
    now = wired.clock.now()
    found = await service.locked(tx, import_id, version)
    assert found.content_sealed is not None
    content = wired.sealer.open(found.content_sealed, found.id.bytes)
    rows, errors = await asyncio.to_thread(read_rows, content, wired.number_links, wired.anchors)
    summary = await service.apply_rows(tx, wired.sealer, rows, errors, now)
    service.applied(found, summary, actor.id, now)
    response.headers["ETag"] = etag(found.version)
    return NumberLinkView.of(found)
