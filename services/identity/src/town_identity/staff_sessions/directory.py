"""The staff directory (職員認証): OpenID Connect Core with PKCE (RFC 7636), at one configured issuer."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from town_kit.auth.jose import PublicKey, TokenRefused, parse_jwks, verify
from town_kit.breaker import Breaker
from town_kit.clock import Clock
from town_kit.http import Retry, outbound
from town_kit.problems import DependencyUnavailable, InvalidToken

_ASK_SECONDS = 4.0
_SILENT = "職員認証システムが応答しません。少し待ってから、もう一度お試しください。"
_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "nonce")


@dataclass(frozen=True, slots=True)
class StaffIdentity:
    """Who signed in: subject at the directory, groups, and the factors used (RFC 8176)."""

    subject: str
    groups: tuple[str, ...]
    amr: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Metadata:
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class StaffDirectory:
    """Sends staff to the directory and redeems what they bring back. Endpoints outside the issuer are refused."""

    def __init__(self, *, issuer: str, client_id: str, client_secret: str, redirect_uri: str, clock: Clock) -> None:
        self.issuer = issuer
        self._client_id, self._client_secret, self._redirect_uri = client_id, client_secret, redirect_uri
        self._basic = "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._clock = clock
        self.system = outbound("staff-directory", issuer, retry=Retry(attempts=2), breaker=Breaker(failures=6, pause=5))
        self._metadata: _Metadata | None = None

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to sign in; raises :class:`DependencyUnavailable`."""
        metadata = await self._discover()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{metadata.authorization_endpoint}?{urlencode(query)}"

    async def redeem(self, *, code: str, nonce: str, verifier: str) -> StaffIdentity:
        """The person behind a code.

        Raises:
            InvalidToken: the directory refuses the code, or its ID token does not hold.
            DependencyUnavailable: the directory does not answer.
        """
        metadata = await self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        answer = await self._call("POST", metadata.token_endpoint, data=form)
        if answer.status_code != 200:
            raise InvalidToken("職員ログインをやり直してください。")
        keys = parse_jwks((await self._call("GET", metadata.jwks_uri)).json())
        return self._identity(str(answer.json().get("id_token", "")), keys, nonce)

    async def ask(self) -> None:
        """See whether staff could sign in now: description, keys and token endpoint; raises
        :class:`DependencyUnavailable`. A token endpoint that refuses our way of asking is there all the same.
        """
        metadata = await self._describe()
        await self._call("GET", metadata.jwks_uri, seconds=_ASK_SECONDS)
        await self._call("GET", metadata.token_endpoint, seconds=_ASK_SECONDS)

    def _identity(self, id_token: str, keys: Mapping[str, PublicKey], nonce: str) -> StaffIdentity:
        try:
            claims = verify(
                id_token,
                keys,
                typ={"JWT", ""},
                issuer=self.issuer,
                audience=self._client_id,
                now=self._clock.now(),
                algorithms=("ES256", "PS256", "RS256"),
                required=_CLAIMS,
            )
        except TokenRefused:
            raise InvalidToken("職員ログインをやり直してください。") from None
        if claims["nonce"] != nonce:
            raise InvalidToken("職員ログインをやり直してください。")
        return StaffIdentity(str(claims["sub"]), _texts(claims.get("groups")), _texts(claims.get("amr")))

    async def _discover(self) -> _Metadata:
        if self._metadata is None:
            self._metadata = await self._describe()
        return self._metadata

    async def _describe(self) -> _Metadata:
        answer = await self._call("GET", f"{self.issuer}/.well-known/openid-configuration", seconds=_ASK_SECONDS)
        try:
            document: Any = answer.json()
        except ValueError:
            document = None
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if (
            not isinstance(document, dict)
            or document.get("issuer") != self.issuer
            or not all(str(document.get(name, "")).startswith(f"{self.issuer}/") for name in names)
        ):
            raise DependencyUnavailable(
                "職員認証の設定に誤りがあります。システム担当に連絡してください。", retry_after=60
            )
        return _Metadata(*(str(document[name]) for name in names))

    async def _call(
        self, method: str, url: str, data: Mapping[str, str] | None = None, *, seconds: float = 10
    ) -> httpx.Response:
        options: dict[str, Any] = {} if data is None else {"headers": {"Authorization": self._basic}, "data": data}
        try:
            async with asyncio.timeout(seconds):
                return await self.system.request(method, url.removeprefix(self.issuer), **options)
        except (DependencyUnavailable, TimeoutError):
            raise DependencyUnavailable(_SILENT, retry_after=5) from None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
