"""Signing key, webhook secret and key encryption key are changed while everybody goes on: nobody is refused."""

import asyncio
import base64
import json
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from standardwebhooks import Webhook

from town_gateway.front import Front
from town_gateway.main import create_gateway
from town_identity.keys import create_ring, rotate
from town_kit import http
from town_kit.app import create_app
from town_kit.auth import tokens
from town_kit.auth.jose import SigningKey
from town_kit.auth.service_tokens import ServiceTokens
from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_kit.jp import MyNumber
from town_kit.jp.my_number import check_digit
from town_kit.rewrapping import Wrapped, rewrap
from town_kit.service import Service
from town_kit.testing import PostgresServer
from town_onebox.assembly import Process, Town
from town_onebox.registry import BY_NAME
from town_onebox.secrets import client_key
from town_sandbox.jws import sign_hs256
from town_standardization.base import act_for
from town_standardization.my_numbers import NumberRefused, deposit

BUSINESS = "027"
TOKEN_PATH = "/v1/oauth/token"
RECORDS = f"/v1/data-linkage/{BUSINESS}/records"
WEBHOOK = b'{"data": {}}'
AT_LEAST = 10  # of each kind between one step and the next
ADDRESSEE = text(
    "INSERT INTO addressees (id, version, event_sequence, addressee_number, integrated_number, resident,"
    " history_number, attributes, others_may_not_see, operated_at)"
    " VALUES (:id, 1, 0, :number, :number, true, 1, '{}', false, now())"
)


def secret_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


SOURCE = "192.0.2.40"  # an address of its own: what the gateway counts of it is not counted of other tests


def webhook_secret() -> str:
    return "whsec_" + secret_key()


@dataclass
class Fleet:
    """The services as they are deployed at the moment, one instance after another, as a rolling restart does."""

    town: Town
    stack: AsyncExitStack
    services: dict[str, Service] = field(default_factory=dict)
    apps: dict[str, Any] = field(default_factory=dict)

    async def deploy(self, name: str, **changes: Any) -> None:
        """Start an instance with changed settings, and send whoever comes from now on there."""
        overrides = {**self.town.overrides, name: {**self.town.overrides[name], **changes}}
        self.town = replace(self.town, overrides=overrides)
        service = self.town.service(name, Process.WEB)
        app: Any = create_gateway(service) if name == "gateway" else create_app(service)
        own = cast(FastAPI, cast(Front, app.app).own) if name == "gateway" else app
        await self.stack.enter_async_context(own.router.lifespan_context(own))
        self.stack.push_async_callback(service.database.engine.dispose)
        self.services[name], self.apps[name] = service, app
        http.register_app(f"{name}-in-rotation", app)

    async def ask(self, name: str, method: str, path: str, **request: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.apps[name], raise_app_exceptions=False, client=(SOURCE, 1))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{name}", verify=False) as client:
            return await client.request(method, path, **request)

    @property
    def vault(self) -> Any:
        return self.services["standardization"].extras["ports"].vault


@dataclass
class Clients:
    """Who works meanwhile; each notes what it was refused.

    Attributes:
        secret: with which the portal signs at the moment.
        held: tokens as they were issued, the oldest first.
        numbers: what was deposited, by row.
        done: how often each kind of work was done.
        failures: what went wrong.
        over: they end what they have begun, and begin nothing more.
    """

    fleet: Fleet
    client: dict[str, str]
    secret: str
    held: list[str] = field(default_factory=list)
    numbers: dict[Any, MyNumber] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    over: bool = False

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        works = (self.use_tokens, self.send_webhook, self.deposit_and_open)
        tasks = [asyncio.create_task(self._again_and_again(work)) for work in works for _ in range(2)]
        try:
            yield
        finally:
            self.over = True
            await asyncio.gather(*tasks)

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self.over:
            try:
                await work()
            except Exception as failure:
                self.failures.append(f"{work.__name__}: {failure!r}")
            self.done[work.__name__] += 1
            await asyncio.sleep(0.005)

    async def go_on(self) -> None:
        """Let everybody do some work."""
        before = Counter(self.done)
        while len(self.done) < 3 or any(self.done[name] - before[name] < AT_LEAST for name in self.done):
            assert not self.failures, self.failures[:3]
            await asyncio.sleep(0.01)

    async def token(self) -> str:
        now = int(SystemClock().now().timestamp())
        name, audience = self.client["client_id"], self.fleet.services["identity"].settings.issuer
        claims = {"iss": name, "sub": name, "aud": audience, "jti": str(new_id()), "iat": now, "exp": now + 60}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": sign_hs256(claims, self.client["client_secret"]),
        }
        answer = await self.fleet.ask("identity", "POST", TOKEN_PATH, data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def records(self, token: str) -> httpx.Response:
        return await self.fleet.ask("standardization", "GET", RECORDS, headers={"Authorization": f"Bearer {token}"})

    async def use_tokens(self) -> None:
        self.held.append(await self.token())
        for token in (self.held[-1], self.held[0]):
            tokens._verified.clear()  # as a process does that never saw it
            answer = await self.records(token)
            assert answer.status_code == 200, answer.text

    async def webhook(self, secret: str) -> httpx.Response:
        now, message_id = SystemClock().now(), f"msg_{new_id()}"
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, now, WEBHOOK.decode()),
            "content-type": "application/json",
        }
        return await self.fleet.ask("gateway", "POST", "/webhooks/mynaportal", content=WEBHOOK, headers=headers)

    async def send_webhook(self) -> None:
        answer = await self.webhook(self.secret)
        assert answer.status_code == 204, answer.text

    async def deposit_and_open(self) -> None:
        body = f"{int.from_bytes(os.urandom(5), 'big') % 10**11:011}"
        number, addressee = MyNumber.parse(body + check_digit(body)), new_id()
        service, vault = self.fleet.services["standardization"], self.fleet.vault
        async with service.database.begin() as session:
            await act_for(session, BUSINESS)
            await session.execute(ADDRESSEE, {"id": addressee, "number": addressee.hex[-15:]})
            row = await deposit(
                session,
                vault,
                number,
                addressee_id=addressee,
                business_id=BUSINESS,
                legal_basis="番号法9条",
                at=service.clock.now(),
            )
        self.numbers[row] = number
        for each in (row, next(iter(self.numbers))):
            assert (await stored(self.fleet, each)) == [(each, self.numbers[each])]


async def stored(fleet: Fleet, row: Any = None) -> list[tuple[Any, MyNumber]]:
    """Rows and the numbers in them, opened with the keys held at the moment."""
    vault = fleet.vault
    query = text("SELECT id, wrapped_key, sealed FROM my_numbers WHERE cast(:row AS uuid) IS NULL OR id = :row")
    async with fleet.services["standardization"].database.begin() as session:
        await act_for(session, BUSINESS)
        rows = (await session.execute(query, {"row": row})).all()
    return [(one.id, vault.unseal(one.id, bytes(one.wrapped_key), bytes(one.sealed))) for one in rows]


@pytest.fixture
async def fleet(town: Town, postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Identity, gateway and standardization with keys and tables of this test's own."""
    create_ring(tmp_path / "ring")
    entry = BY_NAME["standardization"]
    urls = await asyncio.to_thread(postgres_server.create_database, "keys_in_rotation", entry.migrations)
    keys = {"jwks": "asgi:identity-in-rotation"}
    own = {
        "identity": {"key_ring": tmp_path / "ring"},
        "standardization": {**keys, "database_url": urls.app_url, "key_encryption_key": secret_key()},
        "gateway": {**keys, "rate_limits": {"anonymous": {"quota": 1_000_000, "window": 60}}},
    }
    overrides = {name: {**town.overrides[name], **own.get(name, {})} for name in town.overrides}
    async with AsyncExitStack() as stack:
        yield Fleet(replace(town, overrides=overrides), stack)
    shutil.rmtree(tmp_path / "ring")


async def test_a_service_whose_token_died_with_its_key_asks_for_another(fleet: Fleet, tmp_path: Path) -> None:
    await fleet.deploy("identity")
    await fleet.deploy("procedures", jwks="asgi:identity-in-rotation")
    identity = fleet.services["identity"].settings
    own = ServiceTokens(
        client_id="service:standardization",
        key=SigningKey.load(client_key(fleet.town.place, "standardization")),
        address="asgi:identity-in-rotation",
        issuer=identity.issuer,
    )
    path = f"/v1/applications/{new_id()}/hand-over"
    async with http.outbound(
        "procedures", "asgi:procedures-in-rotation", retry=http.Retry(), credentials=own
    ).running() as asking:
        assert (await asking.get(path)).status_code == 404
        before = await own.token()
        for _ in range(3):
            rotate(tmp_path / "ring")
        look_again(fleet)
        tokens._verified.clear()
        await fleet.deploy("procedures")  # an instance that never knew the old keys
        assert (await asking.get(path)).status_code == 404
    assert await own.token() != before


@pytest.mark.case("D-40")
async def test_three_changes_of_keys_refuse_nobody_and_leave_nothing_to_the_old_ones(
    fleet: Fleet, tmp_path: Path
) -> None:
    ring, old_secret, new_secret = tmp_path / "ring", webhook_secret(), webhook_secret()
    old_key = fleet.town.overrides["standardization"]["key_encryption_key"]
    new_key = secret_key()
    await fleet.deploy("identity")
    await fleet.deploy("standardization")
    await fleet.deploy("gateway", webhook_secret=old_secret)
    issued = json.loads((fleet.town.place.sandbox / "credentials.json").read_text())["core_systems"][BUSINESS]
    clients = Clients(fleet, issued, old_secret)
    async with clients.working():
        await clients.go_on()

        rotate(ring)
        look_again(fleet)
        await clients.go_on()

        await fleet.deploy("gateway", webhook_secret=f"{new_secret} {old_secret}")
        await clients.go_on()
        clients.secret = new_secret
        await clients.go_on()
        await fleet.deploy("gateway", webhook_secret=new_secret)
        await clients.go_on()

        await fleet.deploy("standardization", key_encryption_key=new_key, older_key_encryption_key=old_key)
        await clients.go_on()
        wrapped = Wrapped("my_numbers", fleet.vault.rewrap, NumberRefused)
        *_, rewrapped = [step async for step in rewrap(fleet.services["standardization"], wrapped, batch=5)]
        await fleet.deploy("standardization", older_key_encryption_key=None)
        await clients.go_on()
    assert clients.failures == []
    assert rewrapped.renewed >= AT_LEAST
    assert rewrapped.closed == ()

    first = clients.held[0]
    await asyncio.to_thread(rotate, ring)  # the overlap, which is longer than a token lives, is over
    look_again(fleet)
    await fleet.deploy("standardization")
    tokens._verified.clear()
    refused = await clients.records(first)
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:town:problem:invalid-token")
    assert (await clients.records(await clients.token())).status_code == 200

    late = await clients.webhook(old_secret)
    assert (late.status_code, late.json()["type"]) == (401, "urn:town:problem:webhook-signature")

    assert dict(await stored(fleet)) == clients.numbers
    await fleet.deploy("standardization", key_encryption_key=old_key)
    with pytest.raises(NumberRefused):
        await stored(fleet)


def look_again(fleet: Fleet) -> None:
    """The half minute passes after which identity looks at its ring."""
    fleet.services["identity"].extras["ports"].tokens._look_at = 0.0
