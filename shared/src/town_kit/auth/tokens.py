"""Access tokens, checked by each service for itself (RFC 9068, ES256).

Keys come from the issuer's JWKS and stay when the issuer is away: stale keys serve, a re-fetch is tried at most every
30 seconds. A verified token is remembered for at most 60 seconds, once per process; audience and scope are checked at
every use because they are part of the remembered principal.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import httpx

from town_kit import http
from town_kit.auth.jose import PublicKey, TokenRefused, parse_jwks, verify
from town_kit.auth.principal import Principal, Role
from town_kit.clock import Clock, SystemClock
from town_kit.problems import DependencyUnavailable, InvalidToken

AUDIENCE = "town"
REMEMBER_SECONDS = 60.0
REFETCH_SECONDS = 30.0
REFRESH_SECONDS = 300.0
_REMEMBER_AT_MOST = 20_000

_verified: dict[bytes, tuple[Principal, float, float]] = {}


class KeySource(Protocol):
    """Where the issuer's public keys are read."""

    async def fetch(self) -> Mapping[str, PublicKey]:
        """The keys by kid, read anew."""
        ...


class JwksFile:
    """A JWKS document in a file, written by whoever operates the issuer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def fetch(self) -> Mapping[str, PublicKey]:
        """The keys by kid, read anew."""
        return parse_jwks(json.loads(await asyncio.to_thread(self.path.read_bytes)))


class JwksAddress:
    """A JWKS document at an address of ``town_kit.http`` (``http://``, ``unix:``, ``asgi:``)."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def fetch(self) -> Mapping[str, PublicKey]:
        """The keys by kid, read anew."""
        async with http.connect(self.address) as client:
            answer = await client.get("/.well-known/jwks.json", timeout=5)
            answer.raise_for_status()
            return parse_jwks(answer.json())


def key_source(where: str) -> KeySource:
    """The source named by the setting ``jwks``: an address, or else the path of a file."""
    return JwksAddress(where) if where.startswith(("http://", "https://", "unix:", "asgi:")) else JwksFile(Path(where))


class TokenVerifier:
    """Turns a bearer token into a :class:`Principal` or refuses it with 401 ``invalid-token``."""

    def __init__(self, *, issuer: str, source: KeySource, clock: Clock | None = None, audience: str = AUDIENCE) -> None:
        self.issuer = issuer
        self.source = source
        self.audience = audience
        self.clock = clock or SystemClock()
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at = -REFRESH_SECONDS
        self._tried_at = -REFETCH_SECONDS
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Principal:
        """The caller named by the token.

        Raises:
            InvalidToken: the token is not one of ours, or no longer.
            DependencyUnavailable: no key was ever read from the issuer.
        """
        digest = hashlib.sha256(f"{self.issuer}\n{self.audience}\n{token}".encode()).digest()
        remembered = _verified.get(digest)
        now = time.monotonic()
        if remembered is not None:
            principal, forget_at, expires_at = remembered
            if now < forget_at and self.clock.now().timestamp() < expires_at:
                return principal
            _verified.pop(digest, None)
        claims = await self._claims(token)
        principal = _principal(claims)
        if len(_verified) >= _REMEMBER_AT_MOST:
            _verified.clear()
        _verified[digest] = (principal, now + REMEMBER_SECONDS, float(claims["exp"]))
        return principal

    def verify_now(self, token: str) -> Principal | None:
        """The caller named by the token if that can be told without waiting, else None."""
        try:
            claims = self._check(token, self._keys)
            return _principal(claims)
        except (TokenRefused, InvalidToken):
            return None

    async def _claims(self, token: str) -> dict[str, Any]:
        keys = await self._current_keys(stale_after=REFRESH_SECONDS)
        try:
            return self._check(token, keys)
        except TokenRefused as refused:
            if refused.reason_code != "unknown-key":
                raise InvalidToken("もう一度ログインしてください。") from None
        keys = await self._current_keys(stale_after=0)
        try:
            return self._check(token, keys)
        except TokenRefused:
            raise InvalidToken("もう一度ログインしてください。") from None

    def _check(self, token: str, keys: Mapping[str, PublicKey]) -> dict[str, Any]:
        return verify(token, keys, typ="at+jwt", issuer=self.issuer, audience=self.audience, now=self.clock.now())

    async def _current_keys(self, *, stale_after: float) -> Mapping[str, PublicKey]:
        now = time.monotonic()
        due = now - self._fetched_at >= stale_after and now - self._tried_at >= REFETCH_SECONDS
        if due or not self._keys:
            async with self._fetching:
                if not self._keys or time.monotonic() - self._tried_at >= REFETCH_SECONDS:
                    await self._fetch()
        if not self._keys:
            raise DependencyUnavailable("ログインの確認ができません。しばらくしてからお試しください。", retry_after=5)
        return self._keys

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._keys = await self.source.fetch()
            self._fetched_at = time.monotonic()
        except (OSError, ValueError, httpx.HTTPError, DependencyUnavailable):
            return  # stale keys serve while the issuer is away


def _principal(claims: Mapping[str, object]) -> Principal:
    try:
        amr = claims.get("amr") or ()
        return Principal(
            id=UUID(str(claims["sub"])),
            role=Role(str(claims["role"])),
            client_id=str(claims["client_id"]),
            scopes=frozenset(str(claims.get("scope", "")).split()),
            amr=tuple(str(factor) for factor in amr) if isinstance(amr, (list, tuple)) else (),
            session_id=str(claims["sid"]) if claims.get("sid") else None,
        )
    except (KeyError, ValueError):
        raise InvalidToken("もう一度ログインしてください。") from None
