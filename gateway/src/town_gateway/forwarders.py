"""The way to each service, by its address: ``asgi:name`` in this process, ``http://…`` or ``unix:…`` over HTTP."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from town_gateway.forwarding import Forwarder, InProcess, OverHttp
from town_gateway.routes import Route
from town_kit import http
from town_kit.asgi import App, Receive, Scope, Send


def forwarders(addresses: Mapping[str, str], routes: Iterable[Route]) -> dict[str, Forwarder]:
    """A forwarder for each row of the route table.

    Raises:
        KeyError: a service of the table has no address; the gateway does not start.
    """
    return {route.service: _forwarder(addresses[route.service]) for route in routes}


def _forwarder(address: str) -> Forwarder:
    kind, _, name = address.partition(":")
    return InProcess(_registered(name)) if kind == "asgi" else OverHttp(address)


def _registered(name: str) -> App:
    """The application of that name, looked up at the first call: the composition root may register it later."""
    found: list[App] = []

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if not found:
            found.append(http.registered_app(name))
        await found[0](scope, receive, send)

    return call


@asynccontextmanager
async def closing(ways: Mapping[str, Forwarder]) -> AsyncIterator[None]:
    """Close every way at the end."""
    try:
        yield
    finally:
        for way in ways.values():
            await way.close()
