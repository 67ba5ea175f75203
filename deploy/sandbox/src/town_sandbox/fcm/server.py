"""FCM HTTP v1 with the OAuth 2.0 token endpoint of a service account (RFC 7523, RS256).

A device token that begins with ``unregistered-`` is answered like an app that was removed. Faults of its own:
``unregistered`` (404), ``quota`` (429 with ``Retry-After``), ``unavailable_fcm`` (503, FCM's shape), ``internal``.
"""

import base64
import json
import secrets
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from town_kit.clock import Clock, SystemClock
from town_sandbox.configuration import Place
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Faults
from town_sandbox.ledger import Ledger

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = timedelta(hours=1)
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_OWN_FAULTS = {
    "unregistered": (404, "NOT_FOUND", "UNREGISTERED"),
    "quota": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
    "unavailable_fcm": (503, "UNAVAILABLE", "UNAVAILABLE"),
    "internal": (500, "INTERNAL", "INTERNAL"),
}


def error(status: int, code: str, fcm_code: str | None = None) -> Response:
    """An error as Google's APIs shape it; ``fcm_code`` is what a sender decides by."""
    body: dict[str, Any] = {"code": status, "message": f"{code.lower()} (sandbox)", "status": code}
    if fcm_code:
        body["details"] = [{"@type": _FCM_ERROR, "errorCode": fcm_code}]
    return JSONResponse({"error": body}, status, {"Retry-After": "1"} if status in (429, 503) else None)


def create(place: Place, clock: Clock | None = None) -> Counterpart:
    """The push service, its messages in ``fcm.jsonl``."""
    time = clock or SystemClock()
    ledger = Ledger(place.directory / "fcm.jsonl", time)
    faults = Faults(_OWN_FAULTS)
    account = place.credentials.fcm_service_account
    tokens: dict[str, float] = {}

    async def token(request: Request) -> Response:
        """An access token for a signed assertion."""
        form = await request.form()
        assertion = str(form.get("assertion", ""))
        claims = _claims(assertion, account) if form.get("grant_type") == GRANT else None
        now = time.now().timestamp()
        lives = claims is not None and float(claims.get("exp", 0)) > now >= float(claims.get("iat", 0)) - 10
        if not lives or claims is None or SCOPE not in str(claims.get("scope", "")).split():
            await ledger.append("token_refused")
            return JSONResponse({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        issued = "ya29." + secrets.token_urlsafe(48)
        tokens[issued] = now + LIFETIME.total_seconds()
        await ledger.append("token")
        seconds = int(LIFETIME.total_seconds())
        return JSONResponse({"access_token": issued, "expires_in": seconds, "token_type": "Bearer"})

    async def send(request: Request) -> Response:
        """One message to one device."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if tokens.get(bearer, 0) <= time.now().timestamp():
            return error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")
        if request.path_params["project"] != account["project_id"]:
            return error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")
        try:
            message = (await request.json())["message"]
            device = message["token"]
        except (ValueError, KeyError, TypeError):
            return error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
        if not _sound(message, device):
            return error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
        fault = faults.take(_OWN_FAULTS, request.url.path)
        if fault:
            return error(*_OWN_FAULTS[fault.kind])
        if device.startswith("unregistered-"):
            return error(404, "NOT_FOUND", "UNREGISTERED")
        entry = await ledger.append("message", device=device, message=message)
        return JSONResponse({"name": f"projects/{account['project_id']}/messages/0:{entry['n']:016}"})

    routes = [
        Route("/token", token, methods=["POST"]),
        Route("/v1/projects/{project}/messages:send", send, methods=["POST"]),
    ]
    return counterpart("fcm", routes, ledger, faults)


def _sound(message: Any, device: Any) -> bool:
    """Google refuses values of ``data`` that are not strings."""
    data = message.get("data", {})
    return isinstance(device, str) and isinstance(data, dict) and all(isinstance(v, str) for v in data.values())


def _claims(assertion: str, account: dict[str, str]) -> dict[str, Any] | None:
    """The claims of an assertion the service account really signed with RS256, else ``None``."""
    key = serialization.load_pem_private_key(account["private_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    try:
        header, payload, signature = assertion.split(".")
        signed = f"{header}.{payload}".encode()
        key.public_key().verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(_decoded(payload))
        good = json.loads(_decoded(header)).get("alg") == "RS256" and claims["iss"] == account["client_email"]
    except (ValueError, KeyError, InvalidSignature):
        return None
    return claims if good else None


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
