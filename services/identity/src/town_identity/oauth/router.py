"""The token and introspection endpoints, by their own standards."""

from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from town_identity import resident_sessions
from town_identity.clients import Client
from town_identity.keys import IssuedToken
from town_identity.oauth.assertions import check_assertion, use_once
from town_identity.oauth.describe import ERRORS, described
from town_identity.oauth.errors import NO_STORE, oauth_error
from town_identity.ports import Ports, Wired, act_as_service
from town_kit.auth import SERVICE
from town_kit.problems import InvalidToken, JpkiStatusUnavailable
from town_kit.routing import Begin, TownRouter, Tx

MAX_FORM = 32 * 1024
FORM = "application/x-www-form-urlencoded"

router = TownRouter(prefix="/v1/oauth", tags=["トークン"])


@router.post(
    "/token",
    scope=None,
    official="RFC 6749",
    problems=(JpkiStatusUnavailable,),
    responses=ERRORS,
    openapi_extra=described({"grant_type"}, {"scope": "要求する権限", "refresh_token": "更新用トークン"}),
)
async def create_token(request: Request, begin: Begin, wired: Wired) -> Response:
    """アクセストークンを発行する（client_credentials、refresh_token）。"""
    form = await _form(request)
    if form is None:
        return oauth_error("invalid_request")
    await wired.look_for_lists()
    tx = await begin()
    await act_as_service(tx)
    match form.get("grant_type"):
        case "client_credentials":
            client = await _client(form, tx, wired)
            return _client_token(client, form, wired) if client else oauth_error("invalid_client")
        case "refresh_token":
            return await _refreshed(form, tx, wired)
        case None:
            return oauth_error("invalid_request")
        case _:
            return oauth_error("unsupported_grant_type")


@router.post(
    "/introspect",
    scope=None,
    official="RFC 7662",
    responses=ERRORS,
    openapi_extra=described({"token"}, {"token": "調べるアクセストークン"}),
)
async def introspect_token(request: Request, begin: Begin, wired: Wired) -> Response:
    """アクセストークンが使えるかを答える（提供側システム用）。"""
    form = await _form(request)
    if form is None or "token" not in form:
        return oauth_error("invalid_request")
    bearer = await _may_introspect(request)
    tx = await begin()
    await act_as_service(tx)
    if not bearer and await _client(form, tx, wired) is None:
        return oauth_error("invalid_client")
    claims = wired.tokens.read(form["token"])
    if claims is None or (claims.get("sid") and not await resident_sessions.is_live(tx, UUID(claims["sid"]))):
        return JSONResponse({"active": False}, headers=NO_STORE)
    return JSONResponse({"active": True, "token_type": "Bearer", **claims}, headers=NO_STORE)


async def _may_introspect(request: Request) -> bool:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return False
    try:
        principal = await request.app.state.runtime.verifier.verify(token)
    except InvalidToken:
        return False
    return principal.role is SERVICE and principal.may("tokens:introspect")


async def _client(form: dict[str, str], tx: Tx, wired: Ports) -> Client | None:
    issuer = wired.tokens.issuer
    audiences = frozenset({issuer, f"{issuer}/v1/oauth/token", f"{issuer}/v1/oauth/introspect"})
    found = check_assertion(form, wired.clients, audiences, wired.clock.now())
    if found is None or not await use_once(tx, *found):
        return None
    return found[0]


def _client_token(client: Client, form: dict[str, str], wired: Ports) -> Response:
    asked = frozenset(form.get("scope", "").split()) or client.scopes
    if not asked or not asked <= client.scopes:
        return oauth_error("invalid_scope")
    issued = wired.tokens.issue(
        subject=client.id,
        role=client.role,
        client_id=client.client_id,
        scopes=asked,
        seconds=wired.settings.client_token_seconds,
    )
    return _token(issued)


async def _refreshed(form: dict[str, str], tx: Tx, wired: Ports) -> Response:
    if not form.get("refresh_token"):
        return oauth_error("invalid_request")
    tokens = await resident_sessions.refresh(tx, wired, form["refresh_token"], form.get("client_id"))
    if tokens is None:
        return oauth_error("invalid_grant")
    return _token(tokens.access, refresh_token=tokens.refresh_token)


def _token(issued: IssuedToken, **more: Any) -> Response:
    return JSONResponse(
        {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": issued.scope,
            **more,
        },
        headers=NO_STORE,
    )


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of the form; None when it is none, is too long, or names a field twice (RFC 6749 §3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return None
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_FORM:
            return None
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None
