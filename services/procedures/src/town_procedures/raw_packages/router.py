"""Raw packages over HTTP; only standardization's own client may fetch them, and only its vault can read them."""

from uuid import UUID

from fastapi.responses import StreamingResponse

from town_kit.auth import SERVICE
from town_kit.blobs import SEALED_MEDIA_TYPE
from town_kit.routing import Actor, Audit, TownRouter, Tx
from town_kit.writing import touch
from town_procedures.applications import find_one, persons
from town_procedures.ports import Wired
from town_procedures.raw_packages.service import one

router = TownRouter(prefix="/v1/raw-packages", tags=["原本"])


@router.get(
    "/{raw_package_id}",
    scope="raw-packages:read",
    roles=(SERVICE,),
    audit=Audit("raw-package.read", basis="番号法9条", purpose="隔離された申請データの再受付"),
    response_class=StreamingResponse,
)
async def read_raw_package(raw_package_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> StreamingResponse:
    """原本を渡す。暗号化されたままで、金庫だけが開けます。"""
    package = await one(tx, raw_package_id)
    subjects = persons(await find_one(tx, package.application_id, actor)) if package.application_id else []
    touch(tx, subjects=subjects, fields=("raw_package",))
    blob = await wired.blobs.info(tx, package.blob_id)
    return StreamingResponse(wired.blobs.export(wired.database.begin, blob), media_type=SEALED_MEDIA_TYPE)
