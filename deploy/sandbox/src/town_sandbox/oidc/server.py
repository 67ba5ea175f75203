"""Authorization code with PKCE (S256) and ID tokens under ES256, as OpenID Connect Core and RFC 7636 say.

``/authorize`` shows whom one can be; with ``login_hint=clerk`` it goes on at once. ``weak`` signed in with a password
only, which the town must refuse.
"""

import hashlib
import hmac
import html
import secrets
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from town_kit.clock import Clock, SystemClock
from town_sandbox.configuration import Place
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Faults
from town_sandbox.jws import base64url, public_jwk, sign_es256
from town_sandbox.ledger import Ledger

CODE_LIFETIME = timedelta(seconds=60)
ID_TOKEN_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class Staff:
    """A member of staff as the directory knows one."""

    subject: str
    name: str
    department: str
    groups: tuple[str, ...]
    amr: tuple[str, ...] = ("pwd", "hwk", "mfa")


STAFF = {
    "clerk": Staff("staff-0001", "窓口 花子", "住民福祉課", ("clerk",)),
    "approver": Staff("staff-0002", "決裁 太郎", "住民福祉課", ("clerk", "approver")),
    "administrator": Staff("staff-0003", "管理 次郎", "総務課", ("administrator",)),
    "weak": Staff("staff-0009", "単一 要素", "住民福祉課", ("clerk",), ("pwd",)),
}


@dataclass(frozen=True)
class Grant:
    """What a code stands for, until it is redeemed once."""

    staff: Staff
    redirect_uri: str
    challenge: str
    nonce: str | None
    scope: str
    expires: datetime


class Directory:
    """The handlers of the provider."""

    def __init__(self, place: Place, ledger: Ledger, clock: Clock) -> None:
        self.place = place
        self.ledger = ledger
        self.clock = clock
        self._codes: dict[str, Grant] = {}

    async def discovery(self, request: Request) -> Response:
        """The metadata document."""
        issuer = _issuer(request)
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "scopes_supported": ["openid", "profile"],
                "claims_supported": ["sub", "name", "department", "groups", "amr", "auth_time"],
            }
        )

    async def jwks(self, _request: Request) -> Response:
        """The public key."""
        return JSONResponse({"keys": [public_jwk(self.place.credentials.oidc.signing_key)]})

    async def authorize(self, request: Request) -> Response:
        """Sign in as one of the staff."""
        asked = request.query_params
        redirect_uri = asked.get("redirect_uri", "")
        allowed = self.place.config.oidc_redirect_uris
        if asked.get("client_id") != self.place.credentials.oidc.client_id or redirect_uri not in allowed:
            return JSONResponse({"error": "invalid_request"}, 400)  # never redirect to an address we do not know
        proper = asked.get("response_type") == "code" and asked.get("code_challenge_method") == "S256"
        if not proper or not asked.get("code_challenge") or "openid" not in asked.get("scope", "").split():
            return _back(redirect_uri, {"error": "invalid_request", "state": asked.get("state")})
        staff = STAFF.get(asked.get("login_hint", ""))
        if staff is None:
            return _choice(str(request.url))
        code = secrets.token_urlsafe(32)
        self._codes[code] = Grant(
            staff,
            redirect_uri,
            asked["code_challenge"],
            asked.get("nonce"),
            asked["scope"],
            self.clock.now() + CODE_LIFETIME,
        )
        await self.ledger.append("authorized", subject=staff.subject)
        return _back(redirect_uri, {"code": code, "state": asked.get("state"), "iss": _issuer(request)})

    async def token(self, request: Request) -> Response:
        """Redeem a code, once."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        if not self._is_client(request, form):
            await self.ledger.append("client_refused")
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        good = (
            form.get("grant_type") == "authorization_code"
            and grant is not None
            and grant.expires > self.clock.now()
            and grant.redirect_uri == form.get("redirect_uri")
            and hmac.compare_digest(base64url(verifier), grant.challenge)
        )
        if not good or grant is None:
            await self.ledger.append("code_refused")
            return JSONResponse({"error": "invalid_grant"}, 400)
        await self.ledger.append("token", subject=grant.staff.subject)
        return JSONResponse(
            {
                "access_token": secrets.token_urlsafe(32),
                "token_type": "Bearer",
                "expires_in": int(ID_TOKEN_LIFETIME.total_seconds()),
                "scope": grant.scope,
                "id_token": self._id_token(grant, _issuer(request)),
            },
            headers={"Cache-Control": "no-store"},
        )

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        """``client_secret_basic`` (RFC 6749, section 2.3.1: both parts form-encoded) or ``client_secret_post``."""
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        header = request.headers.get("authorization", "")
        if header.startswith("Basic "):
            try:
                user, _, password = b64decode(header[6:], validate=True).decode().partition(":")
            except ValueError:
                return False
            given = (unquote(user), unquote(password))
        client = self.place.credentials.oidc
        return hmac.compare_digest(given[0].encode(), client.client_id.encode()) & hmac.compare_digest(
            given[1].encode(), client.client_secret.encode()
        )

    def _id_token(self, grant: Grant, issuer: str) -> str:
        now = self.clock.now()
        claims: dict[str, Any] = {
            "iss": issuer,
            "sub": grant.staff.subject,
            "aud": self.place.credentials.oidc.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
            "auth_time": int(now.timestamp()),
            "amr": list(grant.staff.amr),
            "name": grant.staff.name,
            "department": grant.staff.department,
            "groups": list(grant.staff.groups),
        }
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        return sign_es256(claims, self.place.credentials.oidc.signing_key)


def _issuer(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _back(redirect_uri: str, values: dict[str, str | None]) -> Response:
    joint = "&" if "?" in redirect_uri else "?"
    known = {name: value for name, value in values.items() if value is not None}
    return RedirectResponse(f"{redirect_uri}{joint}{urlencode(known)}", 302)


def _choice(url: str) -> Response:
    links = "".join(
        f'<li><a href="{html.escape(url)}&amp;login_hint={name}">{html.escape(staff.name)}（{name}）</a>'
        for name, staff in STAFF.items()
    )
    return HTMLResponse(
        f"<!doctype html><html lang=ja><meta charset=utf-8><h1>職員ログイン（模擬環境）</h1><ul>{links}</ul>"
    )


def create(place: Place, clock: Clock | None = None) -> Counterpart:
    """The provider, its sign-ins in ``oidc.jsonl``."""
    time = clock or SystemClock()
    ledger = Ledger(place.directory / "oidc.jsonl", time)
    directory = Directory(place, ledger, time)
    routes = [
        Route("/.well-known/openid-configuration", directory.discovery, methods=["GET"]),
        Route("/jwks", directory.jwks, methods=["GET"]),
        Route("/authorize", directory.authorize, methods=["GET"]),
        Route("/token", directory.token, methods=["POST"]),
    ]
    return counterpart("oidc", routes, ledger, Faults())
