"""HTTP to use cases and back. Neither digest nor CMS is kept."""

import base64
import binascii

from town_identity import persons
from town_identity.ports import Wired
from town_identity.signature_verifications.schemas import VerificationView, VerifySignatureRequest
from town_kit.auth import SERVICE
from town_kit.problems import (
    JpkiExpired,
    JpkiRevoked,
    JpkiUntrusted,
    JpkiWeakAlgorithm,
    JpkiWrongPurpose,
    SignatureInvalid,
)
from town_kit.routing import Audit, Begin, TownRouter
from town_kit.writing import touch

router = TownRouter(prefix="/v1/signature-verifications", tags=["署名検証"])


@router.post(
    "",
    scope="signature-verifications:create",
    roles=(SERVICE,),
    audit=Audit("signature.verify", basis="公的個人認証法17条", purpose="申請の電子署名の検証"),
    keyless="the same signature gets the same verdict however often it is asked",
    problems=(SignatureInvalid, JpkiUntrusted, JpkiExpired, JpkiRevoked, JpkiWrongPurpose, JpkiWeakAlgorithm),
    max_body=128 * 1024,
)
async def verify_signature(body: VerifySignatureRequest, begin: Begin, wired: Wired) -> VerificationView:
    """署名を検証する。失効を確認できないときは `revocation` が `unknown` になります。"""
    await wired.look_for_lists()
    signer = await wired.jpki.verify_signature(_cms(body), body.digests.by_algorithm(), body.received_at)
    tx, now = await begin(), wired.clock.now()
    certificate = await persons.find_or_register(tx, wired.sealer, signer, now)
    touch(tx, subjects=[certificate.person_id], fields=("name", "birth", "sex", "address"))
    return VerificationView.of(signer, certificate, now)


def _cms(body: VerifySignatureRequest) -> bytes:
    try:
        return base64.b64decode(body.cms, validate=True)
    except binascii.Error:
        raise SignatureInvalid("署名のデータを読めません。もう一度署名してください。") from None
