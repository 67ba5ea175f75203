"""A partner's receiver over real HTTP, its client's calls to the gateway, and a sender whose clock a test moves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from town_gateway import wiring
from town_gateway.callbacks.consumers import READERS, callback_consumer
from town_gateway.callbacks.destinations import Destinations
from town_gateway.callbacks.send import Sender
from town_kit.asgi import Receive, Scope, Send
from town_kit.auth import Role
from town_kit.clock import FixedClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.messaging.event import Received
from town_kit.testing.auth import Issuer

CLIENTS = UUID("6f1d9d3e-0000-4000-8000-000000000002")
AT = datetime.fromisoformat("2027-01-05T10:00:00+09:00")
SCOPES = "callbacks:read callbacks:write"


@dataclass
class Receiver:
    """A partner's receiver: it keeps what came and answers as told."""

    status: int = 204
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    came: list[tuple[dict[str, str], str]] = field(default_factory=list)
    hold: bool = False
    holding: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.came.append(({k.decode(): v.decode() for k, v in scope["headers"]}, body.decode()))
        if self.hold:
            self.holding.set()
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"x" * 100_000})

    @property
    def ids(self) -> list[str]:
        """The ``webhook-id`` of everything that came."""
        return [headers["webhook-id"] for headers, _ in self.came]


def signed_with(secret: str, headers: dict[str, str], body: str) -> bool:
    """Whether one of the signatures is this secret's; the time is the sender's own."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), AT.tzinfo).astimezone(FixedClock(AT).now().tzinfo)
    return Webhook(secret).sign(headers["webhook-id"], at, body) in headers["webhook-signature"].split()


@dataclass
class Partner:
    """A partner's client at the gateway."""

    client_id: str
    gateway: httpx.AsyncClient
    issuer: Issuer

    def headers(self) -> dict[str, str]:
        subject = uuid5(CLIENTS, self.client_id)
        return dict(self.issuer.headers(Role.VENDOR, SCOPES, client_id=self.client_id, subject=subject))

    async def call(self, method: str, path: str = "", **more: Any) -> httpx.Response:
        """One call to the callbacks' routes."""
        headers = self.headers() | more.pop("headers", {})
        return await self.gateway.request(method, f"/v1/callbacks{path}", headers=headers, **more)

    async def registers(self, url: str) -> str:
        """Register a callback; its id."""
        answer = await self.call("POST", json={"url": url})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def secrets(self, callback_id: str) -> dict[str, str | None]:
        found: dict[str, str | None] = (await self.call("GET", f"/{callback_id}/secret")).json()
        return found

    async def deliveries(self, callback_id: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.call("GET", f"/{callback_id}/deliveries", params=query)).json()[
            "items"
        ]
        return found


@dataclass
class Telling:
    """A gateway with a partner whose receiver listens on this machine."""

    partner: Partner
    other: Partner
    receiver: Receiver
    url: str
    sender: Sender
    clock: FixedClock
    database: Database
    destinations: Destinations

    async def hear(self, fact: str, client_id: str | None, *, event_id: UUID | None = None) -> None:
        """Run the consumer's handler of one event, in a transaction as the worker does."""
        reader = READERS[fact]
        data = reader(
            application_id=new_id(),
            client_id=client_id,
            reference="A-7K2M-Q9TX-3",
            procedure_code="CH-01",
            state=fact,
            status_sequence=1,
        )
        event = Received(data=data, key=new_id(), sequence=1, id=event_id or new_id(), occurred_at=AT, traceparent=None)
        async with self.database.begin() as session:
            await callback_consumer(self.clock).handlers[reader](session, event)

    async def send(self) -> None:
        """Send everything that is due now."""
        await self.sender.send_due()
        await asyncio.wait_for(self.sender.idle(), 20)

    async def rows(self, query: str, **values: Any) -> Sequence[Any]:
        """Rows as the database holds them."""
        async with self.database.begin() as session:
            return (await session.execute(text(query), values)).all()


@pytest.fixture
async def telling(
    gateway_settings: Any, gateway_database: Database, started: Any, served: Any, issuer: Issuer
) -> AsyncIterator[Telling]:
    """Two partners with one receiver each of a host of its own; the sender stands beside the gateway."""
    receiver = Receiver()
    mine, others = f"app-{new_id()}", f"app-{new_id()}"
    async with served(receiver) as address:
        host = address.removeprefix("http://")
        settings = gateway_settings.model_copy(
            update={"callback_hosts": {mine: (host,), others: (host,)}, "callback_loopback": (host,)}
        )
        clock = FixedClock(AT)
        destinations = wiring.destinations(settings)
        sender = Sender(gateway_database, destinations, wiring.callback_sealer(settings), clock)
        async with started(settings) as gateway, sender.running():
            yield Telling(
                Partner(mine, gateway, issuer),
                Partner(others, gateway, issuer),
                receiver,
                f"{address}/town",
                sender,
                clock,
                gateway_database,
                destinations,
            )
