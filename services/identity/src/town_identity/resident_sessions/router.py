"""HTTP to use cases and back. A certificate refused at login is a 401, with the same slug as at an application."""

import base64
import binascii
from uuid import UUID

from fastapi import Response

from town_identity import login_challenges, persons
from town_identity.jpki import VerifiedSigner
from town_identity.login_challenges import RedeemedChallenge, to_be_signed
from town_identity.ports import Ports, Wired, act_as_service
from town_identity.resident_sessions import service
from town_identity.resident_sessions.schemas import DeviceView, LoginRequest, SessionView
from town_kit.auth import RESIDENT
from town_kit.problems import (
    JpkiExpired,
    JpkiRevoked,
    JpkiStatusUnavailable,
    JpkiUntrusted,
    JpkiWeakAlgorithm,
    JpkiWrongPurpose,
    Problem,
    SignatureInvalid,
    StateConflict,
)
from town_kit.routing import Actor, Audit, Begin, TownRouter, Tx
from town_kit.writing import touch

REFUSALS = (SignatureInvalid, JpkiUntrusted, JpkiExpired, JpkiRevoked, JpkiWrongPurpose, JpkiWeakAlgorithm)
# At a login these refusals come with 401; as problems of the route they would be described with 422.
UNAUTHENTICATED = {
    "description": "\n".join(f"`{refusal.slug}` {refusal.title}" for refusal in REFUSALS),
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

router = TownRouter(tags=["ログイン"])


@router.post(
    "/v1/resident-sessions",
    scope=None,
    audit=Audit("resident.log-in", basis="公的個人認証法36条", purpose="本人確認"),
    keyless="a challenge can be redeemed once",
    problems=(StateConflict, JpkiStatusUnavailable),
    responses={401: UNAUTHENTICATED},
    status_code=201,
    max_body=64 * 1024,
)
async def create_session(body: LoginRequest, begin: Begin, wired: Wired, response: Response) -> SessionView:
    """マイナンバーカードでログインする。一つの問いは一度だけ使えます。"""
    challenge = await login_challenges.redeem(wired.database, body.challenge_id, wired.clock.now())
    signer = await _verified(body, challenge, wired)
    tx = await begin()
    await act_as_service(tx)
    certificate = await persons.find_or_register(tx, wired.sealer, signer, wired.clock.now())
    tokens = await service.begin(tx, wired, certificate, challenge.client_id, body.device_name)
    touch(tx, subjects=[certificate.person_id])
    response.headers["Cache-Control"] = "no-store"
    return SessionView.of(tokens)


async def _verified(body: LoginRequest, challenge: RedeemedChallenge, wired: Ports) -> VerifiedSigner:
    await wired.look_for_lists()
    origin = wired.settings.resident_apps[challenge.client_id]
    content = to_be_signed(wired.settings.login_domain, origin, challenge.nonce, challenge.issued_at)
    try:
        certificate = base64.b64decode(body.certificate, validate=True)
        signature = base64.b64decode(body.signature, validate=True)
        return await wired.jpki.verify_login(certificate, signature, content, wired.clock.now())
    except binascii.Error:
        raise SignatureInvalid("署名のデータを読めません。もう一度署名してください。").with_status(401) from None
    except Problem as problem:
        raise (problem.with_status(401) if isinstance(problem, REFUSALS) else problem) from None


@router.get(
    "/v1/devices",
    scope="devices:read",
    roles=(RESIDENT,),
    audit=Audit("device.list", basis="公的個人認証法36条", purpose="本人確認"),
)
async def list_devices(tx: Tx, actor: Actor) -> list[DeviceView]:
    """ログインしている端末の一覧。"""
    touch(tx, subjects=[actor.id])
    return [DeviceView.of(found, actor.session_id) for found in await service.devices(tx, actor)]


@router.delete(
    "/v1/devices/{device_id}",
    scope="devices:revoke",
    roles=(RESIDENT,),
    audit=Audit("device.revoke", basis="公的個人認証法36条", purpose="本人確認"),
    status_code=204,
)
async def revoke_device(device_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> None:
    """端末をログアウトさせる。失くした端末はここで止めてください。"""
    await service.end(tx, device_id, actor, wired.clock.now())
    touch(tx, subjects=[actor.id])
