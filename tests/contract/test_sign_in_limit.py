"""Who guesses secrets is stopped by one limit of all gateways together, and nobody else notices."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import uvicorn
from tests.conftest import NOWHERE

from town_kit.ids import new_id
from town_onebox.registry import BY_NAME, ENTRIES
from town_sandbox.jws import sign_hs256

BUSINESS = "027"
GATEWAYS = 4
QUOTA = 300
WINDOW_SECONDS = 3_600
WITHIN = 0.05  # of the limit, in total
GUESSES = 1_000
GUESSES_AT_ONCE = 40
GUESSER, OTHER = "127.0.0.9", "127.0.0.8"
OTHERS_PAUSE = 0.1
START_SECONDS = 60.0


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """An application on a loopback port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    server.config.load()
    task = asyncio.create_task(server._serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


@contextmanager
def gateway_process(environment: dict[str, str]) -> Iterator[str]:
    """One gateway, a process of its own: what it holds of the limit is in its memory alone."""
    listening = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-c", "from town_gateway.cli import gateway; gateway()"]
    fd = listening.fileno()
    process = subprocess.Popen(
        [*command, "serve", "--fd", str(fd)],
        env={**os.environ, **environment},
        pass_fds=[fd],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        process.terminate()
        process.wait(30)
        listening.close()


async def ready(address: str) -> None:
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        give_up = time.monotonic() + START_SECONDS
        while not (await client.get("/livez", timeout=START_SECONDS)).is_success:
            assert time.monotonic() < give_up, "the gateway does not answer"
            await asyncio.sleep(0.1)


def client(addresses: Sequence[str], source: str) -> list[httpx.AsyncClient]:
    """Connections to every gateway from one address of this machine."""
    return [
        httpx.AsyncClient(
            base_url=address,
            transport=httpx.AsyncHTTPTransport(local_address=source, verify=False),
            timeout=60,
        )
        for address in addresses
    ]


def form(client_id: str, secret: str, audience: str) -> dict[str, str]:
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": str(new_id()), "iat": now, "exp": now + 60}
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sign_hs256(claims, secret),
    }


TOKEN = "/identity/v1/oauth/token"


@pytest.mark.case("D-26")
@pytest.mark.timeout(300)
async def test_a_thousand_wrong_secrets_through_four_gateways_pass_the_limit_once(composed: Any) -> None:
    credentials = json.loads((composed.town.place.sandbox / "credentials.json").read_text())["core_systems"][BUSINESS]
    client_id, secret = credentials["client_id"], credentials["client_secret"]
    audience = composed.services["identity"].settings.issuer
    async with served(composed.apps["identity"]) as identity:
        urls = {entry.name: identity if entry.name == "identity" else NOWHERE for entry in ENTRIES}
        limits = {"sign-in": {"quota": QUOTA, "window": WINDOW_SECONDS}}
        known = composed.town.overrides
        gateway = {**known["gateway"], "rate_limits": limits}
        town = replace(composed.town, service_urls=urls, overrides={**known, "gateway": gateway})
        environment = town.environment_of(BY_NAME["gateway"])
        with ExitStack() as stack:
            addresses = [stack.enter_context(gateway_process(environment)) for _ in range(GATEWAYS)]
            await asyncio.gather(*map(ready, addresses))
            await whole_window()
            over = asyncio.Event()
            others = asyncio.create_task(
                asks(client(addresses, OTHER), lambda: form(client_id, secret, audience), over)
            )
            refused = await guess(client(addresses, GUESSER), lambda: form(client_id, "w" * 48, audience))
            over.set()
            served_others = await others
    statuses = Counter(answer.status_code for answer in refused)
    assert set(statuses) == {401, 429}
    assert QUOTA * (1 - WITHIN) <= statuses[401] <= QUOTA * (1 + WITHIN)
    assert statuses[401] + statuses[429] == GUESSES
    for answer in refused:
        if answer.status_code == 429:
            assert answer.json()["type"] == "urn:town:problem:rate-limited"
            assert 1 <= int(answer.headers["retry-after"]) <= WINDOW_SECONDS
        else:
            assert answer.json()["error"] == "invalid_client"
    assert {answer.status_code for answer in served_others} == {200}
    assert len(served_others) > GATEWAYS


async def whole_window() -> None:
    """Begin where the window does not end in the middle."""
    left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
    if left < 120:
        await asyncio.sleep(left)


async def guess(gateways: Sequence[httpx.AsyncClient], wrong: Any) -> list[httpx.Response]:
    slots = asyncio.Semaphore(GUESSES_AT_ONCE)

    async def once(number: int) -> httpx.Response:
        async with slots:
            return await gateways[number % len(gateways)].post(TOKEN, data=wrong())

    return await asyncio.gather(*map(once, range(GUESSES)))


async def asks(gateways: Sequence[httpx.AsyncClient], right: Any, over: asyncio.Event) -> list[httpx.Response]:
    """A client with the right secret, at every gateway in turn, until the guesser has ended."""
    answers: list[httpx.Response] = []
    while not over.is_set():
        answers.append(await gateways[len(answers) % len(gateways)].post(TOKEN, data=right()))
        await asyncio.sleep(OTHERS_PAUSE)
    return answers
