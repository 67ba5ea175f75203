"""The bodies of the processes on one box: web, emergency, worker, vault. Each runs after the fork, on its own loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import cast

from fastapi import FastAPI

from town_gateway.front import Front
from town_gateway.main import create_gateway
from town_kit import http, telemetry
from town_kit.admission import Admission
from town_kit.app import create_app
from town_kit.db import assert_durable
from town_kit.db.server_files import Account
from town_kit.line import Places
from town_kit.logging import configure as configure_logging
from town_kit.rush import QUIET, Rush
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone
from town_kit.worker import work
from town_onebox import serving
from town_onebox.assembly import Process, Town
from town_onebox.registry import Entry
from town_onebox.serving import Listener
from town_onebox.supervisor import become


def web(
    town: Town,
    public: Mapping[str, Sequence[socket.socket]],
    internal: Mapping[str, socket.socket],
    places: Places,
    rush: Rush,
) -> Callable[[], int]:
    """A web process: the gateway, with the services of its zones behind it in the same process.

    Args:
        town: what runs here.
        public: service → where it listens for others: the gateway, or, where it runs elsewhere, each service itself.
        internal: service → the socket on which the vault and the worker reach it.
        places: who was refused, for all web processes.
        rush: where they say that callers wait.
    """

    async def body(stop: asyncio.Event) -> None:
        services = [town.service(e.name, Process.WEB) for e in town.entries() if e.serves and e.name != "gateway"]
        apps = {service.name: create_app(service) for service in services}
        for name, app in apps.items():
            http.register_app(name, app)
        await _check_durable(town, services)
        sockets = {name: [*([internal[name]] if name in internal else ()), *public.get(name, ())] for name in apps}
        # Where nobody but the worker and the vault calls a service directly, its callers are no rush.
        heard = {name: rush if name in public else QUIET for name in apps}
        listeners = [
            Listener(Admission(app, places=places, rush=heard[name]), sockets[name]) for name, app in apps.items()
        ]
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(_lifespan(app))
            if Zone.INTERNET in town.zones:
                gateway = create_gateway(town.service("gateway", Process.WEB), places, rush)
                await stack.enter_async_context(_lifespan(cast(FastAPI, cast(Front, gateway.app).own)))
                listeners.append(Listener(gateway, public["gateway"]))
            await stack.enter_async_context(serving.serving(listeners))
            await stop.wait()

    return partial(_run, town, "web", body)


def worker(town: Town, rush: Rush) -> Callable[[], int]:
    """The worker: relays, consumers and jobs of every service outside the vault, but not the urgent ones.

    In a ``rush`` it begins nothing.
    """

    async def body(stop: asyncio.Event) -> None:
        services = [town.service(entry.name, Process.WORKER) for entry in town.entries()]
        await _check_durable(town, services)
        async with serving.working([partial(work, service, urgent=False, rush=rush) for service in services]):
            await stop.wait()

    return partial(_run, town, "worker", body)


def emergency(town: Town) -> Callable[[], int]:
    """The emergency lane: the urgent jobs alone, which wait neither for the worker's turn nor for its niceness."""

    async def body(stop: asyncio.Event) -> None:
        services = [town.service(entry.name, Process.WORKER) for entry in town.entries() if entry.urgent]
        async with serving.working([partial(work, service, ordinary=False) for service in services]):
            await stop.wait()

    return partial(_run, town, "emergency", body)


def vault(town: Town, listening: Sequence[socket.socket], account: Account, rush: Rush) -> Callable[[], int]:
    """The vault: the MY_NUMBER zone with its own listener, relay, consumers and jobs, as a user of its own.

    Its settings are read before the user changes, because they also name what only the town's user may look up.
    In a ``rush`` its relay, consumers and jobs begin nothing; its listener answers.
    """

    def body() -> int:
        known = [(entry, town.settings(entry, Process.VAULT)) for entry in town.entries(vault=True)]
        become(account)
        return _run(town, "vault", partial(_vault, town, known, listening, rush))

    return body


async def _vault(
    town: Town,
    known: Sequence[tuple[Entry, ServiceSettings]],
    listening: Sequence[socket.socket],
    rush: Rush,
    stop: asyncio.Event,
) -> None:
    apps = [create_app(entry.create(settings)) for entry, settings in known]
    services = [entry.create(settings) for entry, settings in known]
    await _check_durable(town, services)
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(_lifespan(app))
        await stack.enter_async_context(serving.working([partial(work, service, rush=rush) for service in services]))
        await stack.enter_async_context(serving.serving([Listener(Admission(app), listening) for app in apps]))
        await stop.wait()


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[object]:
    """What an application opens; a mounted or directly called one never gets its lifespan run by the server."""
    return app.router.lifespan_context(app)


async def _check_durable(town: Town, services: Sequence[Service]) -> None:
    """A production profile does not run on a database that may lose a commit."""
    if town.environment == "production":
        for service in services:
            await assert_durable(service.database)


def _run(town: Town, process: str, body: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    configure_logging(process)
    telemetry.configure(process, endpoint=town.otlp_endpoint)
    return serving.run(body)
