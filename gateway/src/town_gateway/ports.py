"""What the gateway's own routes are handed; chosen in ``wiring.py`` and nowhere else."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends, Request
from pydantic import SecretStr

from town_gateway.callbacks.destinations import Destinations
from town_gateway.openapi_merge import Description
from town_gateway.portal.showcase import Showcase
from town_kit.clock import Clock
from town_kit.sealing import ColumnSealer

Connect = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True, slots=True)
class Ports:
    """One per process.

    Attributes:
        clock: the time.
        services: service name → opens a client to it.
        webhook_secret: the portal's, or None where no portal announces anything.
        showcase: what the first page shows of a trial.
        description: the merged OpenAPI description.
        municipality: the town's name.
        destinations: judges where a callback leads.
        callback_sealer: seals the secrets of callbacks.
    """

    clock: Clock
    services: Mapping[str, Connect]
    webhook_secret: SecretStr | None
    showcase: Showcase
    description: Description
    municipality: str
    destinations: Destinations
    callback_sealer: ColumnSealer


def ports_of(request: Request) -> Ports:
    """The ports of the application that answers."""
    found: Ports = request.app.state.runtime.extras["ports"]
    return found


async def _ports(request: Request) -> Ports:
    return ports_of(request)  # a coroutine, because FastAPI runs a plain function in a thread


Wired = Annotated[Ports, Depends(_ports)]
