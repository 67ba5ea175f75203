"""HTTP to use cases and back."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from town_identity import persons
from town_identity.ports import Wired
from town_kit.auth import SERVICE
from town_kit.problems import NotFound
from town_kit.routing import Audit, Begin, TownRouter
from town_kit.schemas import Input, Moment, Output
from town_kit.writing import touch

router = TownRouter(prefix="/v1/serial-status-checks", tags=["署名検証"])


class CheckStatusRequest(Input):
    """失効の再確認。"""

    serial_reference: UUID = Field(description="署名検証の結果にある証明書の参照")
    received_at: Moment = Field(description="最初に信頼できるシステムが受け取った日時")


class StatusView(Output):
    """受け取った時点での失効の状態。"""

    person_id: UUID
    revocation: Literal["good", "revoked", "unknown"]
    revoked_later: bool = Field(description="受け取ったあとで失効した（署名は有効のまま）")
    revocation_source: str


@router.post(
    "",
    scope="serial-status-checks:create",
    roles=(SERVICE,),
    audit=Audit("certificate.check-status", basis="公的個人認証法17条", purpose="電子証明書の失効の確認"),
    problems=(NotFound,),
    keyless="the answer depends on nothing but the current revocation lists",
)
async def check_status(body: CheckStatusRequest, begin: Begin, wired: Wired) -> StatusView:
    """証明書が受け取った時点で有効だったかを、いまの失効情報で確かめる。"""
    await wired.look_for_lists()
    tx = await begin()
    certificate = await tx.get(persons.CertificateSerial, body.serial_reference)
    if certificate is None:
        raise NotFound("証明書の参照が見つかりません。署名検証の結果にある値を送ってください。")
    touch(tx, subjects=[certificate.person_id])
    found = wired.jpki.check_status(persons.question_of(wired.sealer, certificate), body.received_at)
    return StatusView(
        person_id=certificate.person_id,
        revocation=found.status.value,
        revoked_later=found.revoked_later,
        revocation_source=found.source,
    )
