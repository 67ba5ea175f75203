"""What is asked of a token before and after its signature: form, header, claims. No key and no library is needed."""

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

HEADER_LIMIT = 2048
TOKEN_LIMIT = 16 * 1024
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
FORBIDDEN_HEADERS = frozenset({"jku", "x5u", "x5c", "jwk", "crit"})


class TokenRefused(Exception):
    """A token is not accepted; ``reason_code`` is stable, for logs and tests, and never told to the caller."""

    def __init__(self, reason_code: str) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a signed token, nothing checked yet."""
    if not token.isascii() or len(token) > TOKEN_LIMIT or token.count(".") != 2:
        raise TokenRefused("malformed")
    header, payload, _ = token.split(".")
    return json_object(header, HEADER_LIMIT, "header"), json_object(payload, TOKEN_LIMIT, "claims")


def json_object(encoded: str, limit: int, what: str) -> dict[str, Any]:
    """The JSON object in a base64url part; members twice, constants and more than ``limit`` bytes are refused."""
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        if len(raw) > limit:
            raise TokenRefused(f"{what}-too-long")
        document = json.loads(raw, object_pairs_hook=_members, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenRefused(f"malformed-{what}") from None
    if not isinstance(document, dict):
        raise TokenRefused(f"malformed-{what}")
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenRefused("duplicate-member")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def check_header(header: Mapping[str, Any], typ: str | Collection[str], algorithms: Collection[str]) -> None:
    """Refuse a header that names keys, demands extensions, or has another type or algorithm than allowed."""
    if FORBIDDEN_HEADERS & header.keys():
        raise TokenRefused("forbidden-header")
    allowed = {typ} if isinstance(typ, str) else set(typ)
    found = header.get("typ", "")
    if not isinstance(found, str) or found.lower().removeprefix("application/") not in {t.lower() for t in allowed}:
        raise TokenRefused("type")
    if not isinstance(header.get("alg"), str) or header["alg"] not in algorithms:
        raise TokenRefused("algorithm")


def key_id(header: Mapping[str, Any]) -> str:
    """The kid of a header, in the only form that is ever looked up."""
    kid = header.get("kid")
    if not isinstance(kid, str) or not KEY_ID.match(kid):
        raise TokenRefused("key-id")
    return kid


def check_claims(
    claims: Mapping[str, Any],
    issuer: str | None,
    audience: str | None,
    now: datetime,
    leeway: int,
    required: Iterable[str],
) -> None:
    """Refuse claims that are missing, for somebody else, or for another time."""
    if any(claims.get(name) in (None, "", []) for name in required):
        raise TokenRefused("missing-claim")
    if issuer is not None and claims.get("iss") != issuer:
        raise TokenRefused("issuer")
    audiences = claims.get("aud")
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if audience is not None and (not isinstance(audiences, list) or audience not in audiences):
        raise TokenRefused("audience")
    moment = now.timestamp()
    expires, issued, begins = (_number(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is not None and moment >= expires + leeway:
        raise TokenRefused("expired")
    if (issued is not None and issued > moment + leeway) or (begins is not None and begins > moment + leeway):
        raise TokenRefused("not-yet-valid")


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TokenRefused("malformed-claims")
    return float(value)
