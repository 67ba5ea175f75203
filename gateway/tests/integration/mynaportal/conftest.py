"""A portal (the sandbox's, over real HTTP), procedures' intake door, and a connector between them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from town_gateway.mynaportal.intake import IntakeClient
from town_gateway.mynaportal.poller import Poller
from town_gateway.mynaportal.portal import PortalClient
from town_gateway.mynaportal.profile import load_profile
from town_gateway.mynaportal.statuses import StatusPusher
from town_kit import http
from town_kit.asgi import Receive, Scope, Send
from town_kit.clock import FixedClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_sandbox.configuration import Place, prepare
from town_sandbox.counterpart import Counterpart
from town_sandbox.mynaportal import server

EVERY = timedelta(minutes=5)


@dataclass
class Door:
    """The intake door as its contract says: it keeps what it acknowledges, by idempotency key."""

    kept: dict[str, tuple[dict[str, str], bytes]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    status: int = 201
    hold: bool = False
    holding: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        body = await Request(scope, receive).body()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        key = headers["idempotency-key"]
        self.calls.append(key)
        if self.status < 300:
            self.kept.setdefault(key, ({**query, "authorization": headers["authorization"]}, body))
        if self.hold:
            self.holding.set()
            await asyncio.Event().wait()
        answer = b'{"outcome": "received", "application_id": "0190f3a2-7c1e-7c3d-9a41-1f2e3d4c5b6a", "reason": null}'
        await send(
            {"type": "http.response.start", "status": self.status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": answer})


@dataclass
class Connection:
    """A portal, a connector and a door."""

    portal: Counterpart
    door: Door
    poller: Poller
    pusher: StatusPusher
    clock: FixedClock
    client: PortalClient
    database: Database
    http: Any

    async def files(self, package: bytes, **query: str) -> str:
        """A citizen files a package; its 受付番号."""
        query = {"procedure_id": "sandbox-ch-01", **query}
        answer = await self.http.post("/_citizen/packages", params=query, content=package)
        return str(answer.json()["receipt_no"])

    async def files_again(self, receipt_no: str) -> None:
        """A citizen replaces the package under the same 受付番号."""
        body = {"procedure_id": "sandbox-ch-01", "answers": {"corrected": True}, "revises": receipt_no}
        answer = await self.http.post("/_citizen/applications", json=body)
        assert answer.json()["receipt_no"] == receipt_no

    async def fault(self, kind: str, **more: object) -> None:
        """Switch a fault of the portal on."""
        assert (await self.http.post("/_faults", json={"kind": kind, **more})).status_code == 201

    def ledger(self, kind: str) -> list[Mapping[str, Any]]:
        """What reached the portal."""
        return [entry for entry in self.portal.ledger.entries if entry["kind"] == kind]


class Own:
    """The connector's credentials; after a refusal they are others."""

    def __init__(self) -> None:
        self.token = "connector"

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def refused(self) -> None:
        self.token += "-renewed"


@pytest.fixture
async def connected(tmp_path: Path, connector_database: Database, served: Any) -> AsyncIterator[Connection]:
    """A connector at work, with a clock that stands still until a test moves it."""
    issued = prepare(tmp_path).portal
    clock = FixedClock("2027-01-04T09:00:00+09:00")
    portal = server.create(Place(tmp_path), lambda name: pytest.fail(name), clock)
    door, name = Door(), f"procedures-{new_id()}"
    http.register_app(name, door)

    async with served(portal.app) as address:
        system = http.outbound("mynaportal", address, timeout=http.Timeouts(read=1.0, total=3.0))
        client = PortalClient(
            load_profile("sandbox"), system, login_id=issued.login_id, password=SecretStr(issued.password)
        )
        intake = IntakeClient(lambda: http.connect(f"asgi:{name}"), Own(), b"k" * 32)
        poller = Poller(connector_database, client, intake, clock, every=EVERY, package_limit=1024 * 1024)
        pusher = StatusPusher(connector_database, client, clock)
        async with system.running(), http.connect(address) as browser:
            yield Connection(portal, door, poller, pusher, clock, client, connector_database, browser)
