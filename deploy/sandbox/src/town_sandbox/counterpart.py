"""One counterpart of the town: an ASGI app on a socket of its own, with its ledger and its faults."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from town_sandbox.faults import FaultMiddleware, Faults, control_routes
from town_sandbox.ledger import Ledger


@dataclass
class Counterpart:
    """What :mod:`town_sandbox.main` starts."""

    name: str
    app: ASGIApp
    ledger: Ledger
    faults: Faults
    background: Sequence[Callable[[], Awaitable[None]]] = field(default_factory=tuple)
    """Coroutines that run as long as the sandbox does."""


def counterpart(
    name: str,
    routes: Sequence[BaseRoute],
    ledger: Ledger,
    faults: Faults,
    background: Sequence[Callable[[], Awaitable[None]]] = (),
) -> Counterpart:
    """Put the control routes and the faults around the routes of a counterpart."""
    app = FaultMiddleware(Starlette(routes=[*control_routes(ledger, faults), *routes]), faults)
    return Counterpart(name, app, ledger, faults, background)
