"""What a partner's server asks of the town: a token (private_key_jwt), a callback, the secret that signs it."""

import secrets
from typing import Any

import httpx

from town_kit.clock import Clock
from town_sandbox.configuration import Config, PartnerClient
from town_sandbox.core_system.linkage import ASSERTION_TYPE, TownAway, connect
from town_sandbox.jws import sign_es256

SCOPE = "callbacks:read callbacks:write"


class Registration:
    """A partner's connection to the town."""

    def __init__(self, client: PartnerClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def register(self, config: Config, url: str) -> tuple[str, list[str]]:
        """Register a callback (again: the same one); its id and the secrets that sign now.

        Raises:
            TownAway: the town does not answer, or not with what was hoped for.
        """
        bearer = {"Authorization": f"Bearer {await self._bearer(config)}"}
        headers = {**bearer, "Idempotency-Key": secrets.token_hex(16)}
        callback = await self._call(config, "POST", "", headers=headers, json={"url": url})
        secret = await self._call(config, "GET", f"/{callback['id']}/secret", headers=bearer)
        return str(callback["id"]), [each for each in (secret["secret"], secret["previous_secret"]) if each]

    async def _call(self, config: Config, method: str, path: str, **request: Any) -> Any:
        if config.gateway_address is None:
            raise TownAway("no address")
        return await _told(config.gateway_address, method, f"/v1/callbacks{path}", **request)

    async def _bearer(self, config: Config) -> str:
        if config.identity_address is None or config.identity_audience is None:
            raise TownAway("no identity")
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": self._client.client_id,
            "sub": self._client.client_id,
            "aud": config.identity_audience,
            "jti": secrets.token_hex(16),
            "iat": now,
            "exp": now + 60,
        }
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": sign_es256(claims, self._client.signing_key),
        }
        granted = await _told(config.identity_address, "POST", "/v1/oauth/token", data=form)
        return str(granted["access_token"])


async def _told(address: str, method: str, path: str, **request: Any) -> Any:
    try:
        async with connect(address) as client:
            answer = await client.request(method, path, **request)
    except httpx.HTTPError as error:
        raise TownAway(type(error).__name__) from error
    if not answer.is_success:
        raise TownAway(f"{method} {path} {answer.status_code}")
    return answer.json()
