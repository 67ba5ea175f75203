"""Tokens with which one service calls another: client credentials with a signed assertion (RFC 7523)."""

import asyncio
import time
from datetime import timedelta

from town_kit import http
from town_kit.auth.jose import SigningKey, sign
from town_kit.clock import Clock, SystemClock
from town_kit.ids import new_id
from town_kit.problems import DependencyUnavailable

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_RENEW_BEFORE_SECONDS = 60


class ServiceTokens:
    """Asks identity for this service's access token and keeps it until a minute before it ends.

    Args:
        client_id: the service's client id at identity, e.g. ``service:procedures``.
        key: the ES256 key registered there.
        address: identity's address in the form of ``town_kit.http``.
        issuer: identity's issuer; the audience of the assertion.
    """

    def __init__(
        self, *, client_id: str, key: SigningKey, address: str, issuer: str, clock: Clock | None = None
    ) -> None:
        self.client_id = client_id
        self._key = key
        self._address = address
        self._issuer = issuer
        self._clock = clock or SystemClock()
        self._token = ""
        self._renew_at = 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """A valid access token.

        Raises:
            DependencyUnavailable: identity does not answer or refuses this client.
        """
        if time.monotonic() < self._renew_at:
            return self._token
        async with self._asking:
            if time.monotonic() >= self._renew_at:
                await self._ask()
        return self._token

    async def headers(self) -> dict[str, str]:
        """The ``Authorization`` header of a call."""
        return {"Authorization": f"Bearer {await self.token()}"}

    def refused(self) -> None:
        """The token was answered with 401: the next call asks for another, whatever time this one had left."""
        self._renew_at = 0.0

    async def _ask(self) -> None:
        now = self._clock.now()
        assertion = sign(
            {
                "iss": self.client_id,
                "sub": self.client_id,
                "aud": self._issuer,
                "jti": str(new_id()),
                "iat": int(now.timestamp()),
                "exp": int((now + timedelta(seconds=60)).timestamp()),
            },
            self._key,
            typ="JWT",
        )
        async with http.connect(self._address) as client:
            answer = await client.post(
                "/v1/oauth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_assertion_type": ASSERTION_TYPE,
                    "client_assertion": assertion,
                },
                timeout=10,
            )
        if answer.status_code != 200:
            raise DependencyUnavailable(
                "システム間の認証ができません。少し待ってから、もう一度お試しください。", retry_after=5
            )
        document = answer.json()
        self._token = document["access_token"]
        self._renew_at = time.monotonic() + max(5, int(document["expires_in"]) - _RENEW_BEFORE_SECONDS)
