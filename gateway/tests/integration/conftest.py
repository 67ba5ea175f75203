"""The databases of the gateway and of the connector, as their migrations make them."""

import asyncio
import base64
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from town_gateway.main import create_gateway, create_service
from town_gateway.settings import GatewaySettings
from town_kit import http
from town_kit.asgi import App, Receive, Scope, Send
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.testing import PostgresServer
from town_kit.testing.auth import ISSUER, Issuer

MIGRATIONS = Path(__file__).parents[2] / "migrations"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def gateway_url(postgres_server: PostgresServer) -> str:
    """URL of the gateway's application role."""
    return postgres_server.create_database("gateway", MIGRATIONS / "gateway").app_url


@pytest.fixture
def connector_url(postgres_server: PostgresServer) -> str:
    """URL of the application role of a connector of its own: its portal's cursor belongs to one test."""
    return postgres_server.create_database(f"connector{next(_numbers)}", MIGRATIONS / "connector").app_url


@pytest.fixture
async def gateway_database(gateway_url: str) -> AsyncIterator[Database]:
    """The gateway's database."""
    database = Database(gateway_url)
    async with database.running():
        yield database


@pytest.fixture
async def connector_database(connector_url: str) -> AsyncIterator[Database]:
    """The connector's database."""
    database = Database(connector_url)
    async with database.running():
        yield database


@asynccontextmanager
async def served(app: Any, *, path: str | None = None) -> AsyncIterator[str]:
    """Serve an application on a loopback port (or a Unix socket) and give its address."""
    sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    sock.bind(path or ("127.0.0.1", 0))
    sock.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    server.config.load()
    task = asyncio.create_task(server._serve([sock]))
    try:
        yield f"unix:{path}" if path else f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
        sock.close()


@pytest.fixture(name="served")
def _served() -> Any:
    return served


@pytest.fixture(scope="session")
def webhook_secret() -> str:
    """The portal's webhook secret."""
    return "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ok!").decode()


def service_app(asked: list[Scope]) -> App:
    """A service behind the gateway that answers what it was asked."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope)
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [(b"content-type", b"application/json"), (b"location", b"/v1/things/1"), (b"x-request-id", b"inner")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body or b"{}"})

    return app


@pytest.fixture
def asked() -> list[Scope]:
    """What reached the services behind the gateway."""
    return []


@pytest.fixture
def gateway_settings(gateway_url: str, issuer: Issuer, webhook_secret: str, asked: list[Scope]) -> GatewaySettings:
    """A gateway with three services in its own process."""
    addresses = {}
    for name in ("identity", "procedures", "notifications"):
        registered = f"{name}-{new_id()}"
        http.register_app(registered, service_app(asked))
        addresses[name] = f"asgi:{registered}"
    return GatewaySettings(
        database_url=gateway_url,
        issuer=ISSUER,
        jwks=str(issuer.jwks_file),
        addresses=addresses,
        digest_key=base64.b64encode(bytes(32)).decode(),
        key_encryption_key=base64.b64encode(bytes(32)).decode(),
        webhook_secret=webhook_secret,
    )


@asynccontextmanager
async def started(settings: GatewaySettings) -> AsyncIterator[httpx.AsyncClient]:
    """The whole gateway, started, and a client in front of it."""
    app = create_gateway(create_service(settings))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.app.own.router.lifespan_context(app.app.own),
        httpx.AsyncClient(transport=transport, base_url="http://town") as client,
    ):
        yield client


@pytest.fixture(name="started")
def _started() -> Any:
    return started


@pytest.fixture
async def gateway(gateway_settings: GatewaySettings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started gateway."""
    async with started(gateway_settings) as client:
        yield client
