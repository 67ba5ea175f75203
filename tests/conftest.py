"""Every service of the town, composed as on one box, on databases of this test worker."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi import FastAPI

from town_identity.keys import KeyRing
from town_kit import http
from town_kit.app import create_app
from town_kit.auth.jose import jwks
from town_kit.db.server_files import Account
from town_kit.service import Service
from town_kit.testing import Issuer, PostgresServer
from town_kit.testing.auth import ISSUER
from town_onebox import clients, secrets, testing
from town_onebox.assembly import Process, Town
from town_onebox.place import Place
from town_onebox.registry import ENTRIES
from town_onebox.sandbox import prepare
from town_onebox.testing import Collector, RunningTown

ROOT = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9"
GENEROUS = {"quota": 1_000_000, "window": 60}  # for callers that do a year's work in a minute
OUTSIDE = ("mynaportal", "fcm", "smtp", "smtp_control", "core_system", "oidc", "audit_anchor", "partner")


@dataclass
class Composed:
    """The services, and for each an application that answers in this process."""

    town: Town
    services: dict[str, Service]
    apps: dict[str, FastAPI]
    issuer: Issuer

    def client(self, service: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.apps[service], raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{service}")


@pytest.fixture(scope="session")
def town_issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Signs with the key of the composed town's own ring, which is the only one identity believes."""
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def town(postgres_server: PostgresServer, town_issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A town whose outside world does not answer; for what is asked of the services alone."""
    place = Place(tmp_path_factory.mktemp("town"))
    made = secrets.prepare(place)
    secrets.prepare_vault(place, Account(None, os.geteuid(), os.getegid()))
    prepare(place)
    key = town_issuer.key = KeyRing.load(place.key_ring).active
    town_issuer.jwks_file.write_text(json.dumps(jwks([key.public])))
    (place.sandbox / "addresses.json").write_text(
        json.dumps(dict.fromkeys(OUTSIDE, NOWHERE) | {"smtp": "smtp://127.0.0.1:9"})
    )
    clients.write(place, sandbox=True)
    overrides = {}
    for entry in ENTRIES:
        urls = postgres_server.create_database(entry.name, entry.migrations)
        overrides[entry.name] = {
            "database_url": urls.app_url,
            "issuer": ISSUER,
            "jwks": str(town_issuer.jwks_file),
        }
    return Town(
        place=place,
        secrets=made,
        server=("127.0.0.1", 9),
        public_url=NOWHERE,
        vault_url=NOWHERE,
        sandbox=True,
        overrides=overrides,
    )


@pytest.fixture
async def composed(town: Town, town_issuer: Issuer) -> AsyncIterator[Composed]:
    """All services, each with its lifespan running."""
    services = {entry.name: town.service(entry.name, Process.WEB) for entry in ENTRIES}
    apps = {name: create_app(service) for name, service in services.items()}
    async with AsyncExitStack() as stack:
        for service, app in zip(services.values(), apps.values(), strict=True):
            await stack.enter_async_context(app.router.lifespan_context(app))
            stack.push_async_callback(service.database.engine.dispose)
        for name, app in apps.items():  # whom the gateway finds behind it: these, not those of a test before
            http.register_app(name, app)
        yield Composed(town, services, apps, town_issuer)


@dataclass(frozen=True)
class Journey:
    """`run --once` on a directory of its own, and once more on the same: what came of each."""

    directory: Path
    done: "subprocess.CompletedProcess[str]"
    again: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="session")
def journey() -> Iterator[Journey]:
    """The whole town as real processes, through which an application went, then another; it has ended by now."""
    with testing.directory() as place:
        place.mkdir()
        limits = dict.fromkeys(("anonymous", "resident", "staff", "vendor", "service"), GENEROUS)
        (place / "town.yaml").write_text(
            yaml.safe_dump({"gateway": {"rate_limits": limits}, "identity": {"directory_away_seconds": 1}})
        )
        yield Journey(place, testing.journey(place), testing.journey(place))


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """What takes in the traces and metrics of the running town."""
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="session")
def running_town(journey: Journey, collector: Collector) -> Iterator[RunningTown]:
    """The same town, serving again with its sandbox; tests share it, so that each minds its own applications only."""
    town = RunningTown(journey.directory, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address})
    try:
        yield town
    finally:
        code = town.stop()
    assert code == 0, testing.logs(journey.directory)
