"""``Idempotency-Key``: one effect however often a request is sent (R-11 … R-13 of the acceptance list).

The key is claimed with an advisory lock of the transaction; the first answer is stored by the route in that same
transaction, so that answer and effect are one. A second request meanwhile gets 409, later ones get the stored answer.
"""

import hashlib
import hmac
import json
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import rfc8785
from starlette.requests import Request
from starlette.responses import Response

from town_kit.auth.principal import Principal
from town_kit.problems import DuplicateMember, IdempotencyKeyMissing, MalformedRequest, ValidationFailed

KEEP = timedelta(days=7)
KEY = re.compile(r"^[\x21-\x7e]{8,255}$")
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("content-type", "etag", "location")


@dataclass(frozen=True, slots=True)
class Claim:
    """One request's claim on a key: what identifies the request and what it contained."""

    scope_hash: bytes
    fingerprint: bytes
    lock: int


class Replay(Exception):
    """The key was used before with the same content: here is the answer of then."""

    def __init__(self, response: Response) -> None:
        super().__init__("replay")
        self.response = response


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def strict_json(raw: bytes) -> Any:
    """The JSON document in ``raw``; a repeated member, NaN, a number beyond 2^53 or NUL in a text is refused.

    Raises:
        DuplicateMember: an object names one member twice.
        MalformedRequest: this is not JSON (RFC 8259), it is nested too deep, or there is a NUL in it.
    """
    try:
        text = raw.decode(json.detect_encoding(raw), "surrogatepass")
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
    except DuplicateMember:
        raise
    except (ValueError, RecursionError):
        raise MalformedRequest("JSON として読めません。文字コードは UTF-8 にしてください。") from None
    if _NUL.search(text):  # PostgreSQL has no value for it
        raise MalformedRequest("文字コード 0 の文字（\\u0000）を取り除いて、もう一度送ってください。")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMember("同じ名前の項目を一つにしてください。")
    return members


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("number")
    return value


def claim(request: Request, principal: Principal | None, body: bytes, secret: bytes) -> Claim:
    """The claim of a request: the key within (client, principal), and an HMAC over what was asked.

    Args:
        request: its concrete path and query are part of the fingerprint.
        principal: whose key this is.
        body: the JCS form of a JSON body, or the digest of an upload's raw bytes.
        secret: the HMAC key; a plain hash of a body with a My Number could be guessed.

    Raises:
        IdempotencyKeyMissing: there is no key.
        ValidationFailed: the key is not 8 to 255 printable ASCII characters.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        raise IdempotencyKeyMissing("Idempotency-Key に一意の値（UUID など）を付けて送り直してください。")
    if not KEY.match(key):
        raise ValidationFailed("Idempotency-Key は 8〜255 文字の英数記号にしてください。")
    who = f"{principal.client_id}\n{principal.id}" if principal else "public"
    scope_hash = hashlib.sha256(f"{who}\n{key}".encode()).digest()
    asked = f"{request.method}\n{request.url.path}?{request.url.query}\n".encode()
    return Claim(
        scope_hash=scope_hash,
        fingerprint=hmac.digest(secret, asked + body, "sha256"),
        lock=int.from_bytes(scope_hash[:8], "big", signed=True),
    )


def canonical(document: Any) -> bytes:
    """The JCS form (RFC 8785) of a parsed JSON document.

    Raises:
        MalformedRequest: a number lies outside what JSON can carry exactly, or a text holds half a character.
    """
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError):  # UnicodeError: half a character in a name
        raise MalformedRequest("数値が大きすぎるか、文字が正しくありません。") from None


def stored_answer(row: Any) -> Response:
    """The stored first answer, marked as a repetition."""
    headers = dict(json.loads(row.headers) if isinstance(row.headers, str) else row.headers)
    headers[REPLAYED] = "true"
    return Response(content=bytes(row.body), status_code=row.status, headers=headers)


def kept_headers(response: Response) -> dict[str, str]:
    """The headers of an answer that are stored with it."""
    return {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
