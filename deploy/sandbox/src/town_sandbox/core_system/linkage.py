"""The town's 庁内データ連携 API as a vendor calls it: client credentials, then pull, acknowledge and answer.

Client authentication is ``client_secret_jwt`` (HS256), as the 共通機能標準仕様書 wants it.
"""

import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from town_kit.clock import Clock
from town_sandbox.configuration import Config, CoreSystemClient
from town_sandbox.jws import sign_hs256

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TIMEOUT_SECONDS = 30.0


class TownAway(Exception):
    """The town did not answer, or not with what was hoped for; tried again at the next poll."""

    def __init__(self, reason: str, status: int | None = None, problem: str | None = None) -> None:
        super().__init__(reason)
        self.status, self.problem = status, problem


@dataclass(frozen=True)
class Page:
    """One page of records, and where the next one begins."""

    records: list[dict[str, Any]]
    cursor: str | None


class DataLinkage:
    """One vendor's connection to the town."""

    def __init__(self, business_id: str, client: CoreSystemClient, clock: Clock) -> None:
        self.business_id = business_id
        self._client = client
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0

    async def pull(self, config: Config, cursor: str | None) -> Page:
        """Records since ``cursor``."""
        answer = await self._call(config, "GET", "records", params={"cursor": cursor} if cursor else {})
        body = answer.json()
        return Page(list(body["records"]), body.get("next_cursor"))

    async def acknowledge(self, config: Config, records: list[Mapping[str, Any]]) -> None:
        """Say which records, by key and 履歴番号, are in the core system."""
        named = [{"key": r["key"], "history_number": r["history_number"]} for r in records]
        body = {"acknowledgements": named}
        await self._call(config, "POST", "acknowledgements", json=body, idempotency_key=secrets.token_hex(16))

    async def post_result(self, config: Config, result: Mapping[str, Any]) -> None:
        """Hand a decision back; its ``result_id`` is the idempotency key, so a repeat is one."""
        await self._call(config, "POST", "results", json=result, idempotency_key=result["result_id"])

    async def _call(
        self, config: Config, method: str, noun: str, *, idempotency_key: str | None = None, **request: Any
    ) -> httpx.Response:
        if config.data_linkage_address is None:
            raise TownAway("no address")
        headers = {"Authorization": f"Bearer {await self._bearer(config)}"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        path = f"/v1/data-linkage/{self.business_id}/{noun}"
        try:
            async with connect(config.data_linkage_address) as client:
                answer = await client.request(method, path, headers=headers, **request)
        except httpx.HTTPError as error:
            raise TownAway(type(error).__name__) from error
        if answer.status_code == 401:
            self._renew_at = 0.0
        if not answer.is_success:
            raise TownAway(f"{method} {noun} {answer.status_code}", answer.status_code, _problem(answer))
        return answer

    async def _bearer(self, config: Config) -> str:
        now = self._clock.now().timestamp()
        if now < self._renew_at:
            return self._token
        if config.identity_address is None or config.identity_audience is None:
            raise TownAway("no identity")
        assertion = sign_hs256(
            {
                "iss": self._client.client_id,
                "sub": self._client.client_id,
                "aud": config.identity_audience,
                "jti": secrets.token_hex(16),
                "iat": int(now),
                "exp": int(now) + 60,
            },
            self._client.client_secret,
        )
        form = {
            "grant_type": "client_credentials",
            "scope": config.core_systems[self.business_id].scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        try:
            async with connect(config.identity_address) as client:
                answer = await client.post("/v1/oauth/token", data=form)
        except httpx.HTTPError as error:
            raise TownAway(type(error).__name__) from error
        if not answer.is_success:
            raise TownAway(f"token {answer.status_code}")
        document = answer.json()
        self._token = document["access_token"]
        self._renew_at = now + max(1, int(document["expires_in"]) - 30)
        return self._token


def _problem(answer: httpx.Response) -> str | None:
    """The slug of a problem, where the answer is one."""
    if answer.headers.get("content-type") != "application/problem+json":
        return None
    return str(answer.json()["type"]).removeprefix("urn:town:problem:")


def connect(address: str) -> httpx.AsyncClient:
    """A client for ``http://host:port[/base]`` or ``unix:/path``; proxies of the environment are not used."""
    if address.startswith("unix:"):
        transport = httpx.AsyncHTTPTransport(uds=address.removeprefix("unix:"))
        return httpx.AsyncClient(transport=transport, base_url="http://town", timeout=TIMEOUT_SECONDS)
    return httpx.AsyncClient(base_url=address, timeout=TIMEOUT_SECONDS, trust_env=False, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """Read once: a client that reads them for itself costs 20 ms."""
    return ssl.create_default_context()
