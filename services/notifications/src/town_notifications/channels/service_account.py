"""Access tokens for a Google service account: a signed assertion (RFC 7523, RS256) is exchanged for a bearer token."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from town_kit.clock import Clock

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
LIFETIME = timedelta(hours=1)
MARGIN = timedelta(seconds=60)


class TokenUnavailable(Exception):
    """No access token could be had; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What Google's service-account file says and is needed here."""

    project_id: str
    client_email: str
    private_key_id: str
    _key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The account in a service-account file.

        Raises:
            ValueError: a member is missing or the key is no RSA key.
        """
        document: Mapping[str, Any] = json.loads(path.read_bytes())
        try:
            key = serialization.load_pem_private_key(document["private_key"].encode(), None)
            names = {name: str(document[name]) for name in ("project_id", "client_email", "private_key_id")}
        except KeyError as error:
            raise ValueError("the service-account file lacks a member") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the key of a service account must be RSA")  # noqa: TRY004 - the content is wrong
        return cls(**names, _key=key)

    def assertion(self, audience: str, now: int) -> str:
        """A signed assertion for the token endpoint ``audience``, good for an hour."""
        header = {"alg": "RS256", "typ": "JWT", "kid": self.private_key_id}
        claims = {
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": audience,
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
        }
        signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encoded(signature)}"


class AccessTokens:
    """Keeps one access token and renews it before it ends; callers that come together wait for one request."""

    def __init__(self, account: ServiceAccount, token_url: str, clock: Clock) -> None:
        self.account = account
        self.token_url = token_url
        self.clock = clock
        self._token: str | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def current(self, session: aiohttp.ClientSession) -> str:
        """A token that is good for another minute at least.

        Raises:
            TokenUnavailable: the endpoint refused or did not answer.
        """
        async with self._asking:
            now = self.clock.now().timestamp()
            if self._token is None or now >= self._until:
                self._token, lives = await self._ask(session, int(now))
                self._until = now + lives - MARGIN.total_seconds()
            return self._token

    def forget(self, token: str) -> None:
        """The provider did not take ``token``; the next caller asks for another."""
        if self._token == token:
            self._token = None

    async def _ask(self, session: aiohttp.ClientSession, now: int) -> tuple[str, float]:
        assertion = await asyncio.to_thread(self.account.assertion, self.token_url, now)
        form = {"grant_type": GRANT, "assertion": assertion}
        try:
            async with session.post(self.token_url, data=form, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise TokenUnavailable(f"token-{answer.status}")
                document = await answer.json(content_type=None)
                return str(document["access_token"]), float(document.get("expires_in", 0))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TokenUnavailable("token-unreachable") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TokenUnavailable("token-unreadable") from error


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
