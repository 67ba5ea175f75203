"""The intake door over HTTP: the connector's packages, and what the vault read out of released ones."""

import base64
import binascii
from contextlib import ExitStack
from typing import Annotated
from uuid import UUID

from fastapi import Query

from town_kit.auth import SERVICE, Principal
from town_kit.problems import (
    DependencyUnavailable,
    FieldError,
    PayloadTooLarge,
    StateConflict,
    UnsupportedMedia,
    ValidationFailed,
)
from town_kit.routing import Actor, Audit, Begin, ReceivedUpload, TownRouter
from town_kit.schemas import Moment
from town_procedures import quarantined_packages, raw_packages
from town_procedures.applications import DocumentRef, SealedNumber
from town_procedures.catalogue import AttachedFile
from town_procedures.intake import service
from town_procedures.intake.prepare import Content, Delivery, prepare_package, prepare_released
from town_procedures.intake.schemas import IntakeAnswer, ReleasedRequest
from town_procedures.ports import Ports, Wired
from town_procedures.quarantined_packages import QuarantinedPackage, State

LARGEST = 30 * 1024 * 1024
RELEASED_LIMIT = 4 * 1024 * 1024

router = TownRouter(prefix="/v1/intake", tags=["受信"])


@router.post(
    "",
    scope="packages:intake",
    roles=(SERVICE,),
    audit=Audit("package.intake", basis="行政手続法7条", purpose="ぴったりサービスの申請の受付"),
    problems=(PayloadTooLarge, UnsupportedMedia, DependencyUnavailable),
    upload=("application/zip",),
    max_body=LARGEST,
    status_code=202,
)
async def take_package(
    source: Annotated[str, Query(pattern=r"^[a-z][a-z0-9-]{1,30}$", description="どこから届いたか")],
    receipt_no: Annotated[str, Query(pattern=r"^[^\x00-\x20\x7f]{1,64}$", description="ポータルの受付番号")],
    received_at: Annotated[Moment, Query(description="ポータルが受け付けた日時（到達）")],
    mynaportal_procedure_id: Annotated[str, Query(min_length=1, max_length=100, description="ポータルの手続番号")],
    upload: ReceivedUpload,
    begin: Begin,
    wired: Wired,
) -> IntakeAnswer:
    """申請データを受け取る。誤りのあるものは隔離し、捨てず、断りません。"""
    delivery = Delivery(
        source=source,
        receipt_no=receipt_no,
        received_at=min(received_at, wired.clock.now()),
        mynaportal_procedure_id=mynaportal_procedure_id,
    )
    with ExitStack() as stack:
        prepared = await prepare_package(stack, upload.file, delivery, wired)
        return IntakeAnswer.of(await service.take(await begin(), delivery, upload, prepared, wired))


@router.post(
    "/released",
    scope="packages:intake",
    roles=(SERVICE,),
    audit=Audit("package.intake-released", basis="番号法9条", purpose="隔離された申請データの再受付"),
    problems=(StateConflict, DependencyUnavailable),
    max_body=RELEASED_LIMIT,
    status_code=202,
)
async def take_released(body: ReleasedRequest, begin: Begin, actor: Actor, wired: Wired) -> IntakeAnswer:
    """隔離を解除した申請データの中身を受け取る。原因が残っていれば、また隔離します。"""
    delivery, blob_id = await _released(body.released_id, actor, wired)
    content = Content(
        answers=body.answers,
        my_numbers=[SealedNumber(number.pointer, number.role, number.jwe) for number in body.my_numbers],
        files=[AttachedFile(document.kind, document.media_type, document.size) for document in body.documents],
        file_hashes=[document.sha256 for document in body.documents],
        digests={"sha256": bytes.fromhex(body.digests.sha256), "sha384": bytes.fromhex(body.digests.sha384)},
        cms=_base64(body.cms) if body.cms is not None else None,
        documents=[DocumentRef(d.kind, blob_id, d.media_type, d.size, d.sha256) for d in body.documents],
    )
    prepared = await prepare_released(body.procedure_code, content, delivery, wired)
    tx = await begin()
    package = await quarantined_packages.locked(tx, body.released_id, actor, expected_version=None)
    if package.application_id is not None:
        return IntakeAnswer.of(service.already(package.application_id))
    _check_released(package)
    return IntakeAnswer.of(await service.take_released(tx, package, delivery, prepared, wired))


async def _released(released_id: UUID, actor: Principal, wired: Ports) -> tuple[Delivery, UUID]:
    """Under what the package came, and the blob of its raw form."""
    async with wired.database.begin(role=actor.role.value, principal=actor.id) as session:
        package = await quarantined_packages.one(session, released_id, actor)
        raw = await raw_packages.one(session, package.raw_package_id)
    if package.application_id is None:
        _check_released(package)
    delivery = Delivery(package.source, package.receipt_no, package.received_at, package.mynaportal_procedure_id)
    return delivery, raw.blob_id


def _check_released(package: QuarantinedPackage) -> None:
    if package.state != State.RELEASED:
        raise StateConflict("隔離が解除されていません。職員が解除してから送ってください。")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValidationFailed(
            "署名のデータを読めません。", errors=[FieldError("/cms", "base64", "Base64 で送ってください。")]
        ) from None
