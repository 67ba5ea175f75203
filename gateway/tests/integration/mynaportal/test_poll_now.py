"""From the portal's webhook to its list, through outbox, relay, log and consumer, as both services really run."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from town_gateway.main import create_connector
from town_gateway.mynaportal.events import PortalPollRequested
from town_gateway.settings import ConnectorSettings
from town_kit import http
from town_kit.auth.jose import generate_signing_key
from town_kit.ids import new_id
from town_kit.messaging import pglog
from town_kit.settings import Zone
from town_kit.testing import PostgresServer
from town_kit.testing.auth import ISSUER, Issuer, eventually
from town_kit.worker import work
from town_sandbox.configuration import Place, write_json
from town_sandbox.counterpart import Counterpart
from town_sandbox.mynaportal import server


@pytest.fixture(scope="session")
def logs(postgres_server: PostgresServer) -> dict[Zone, str]:
    """A log for each zone the two services reach."""
    made = {}
    for zone in (Zone.INTERNET, Zone.LGWAN):
        urls = postgres_server.create_database(f"events_{zone.value.lower()}")
        asyncio.run(pglog.install(urls.owner_dsn))
        made[zone] = urls.app_dsn
    return made


def connector_settings(url: str, logs: dict[Zone, str], issuer: Issuer, place: Place, portal_url: str) -> Any:
    key = place.directory / "connector.pem"
    generate_signing_key().save(key)
    return ConnectorSettings(
        database_url=url,
        log_urls=logs,
        issuer=ISSUER,
        jwks=str(issuer.jwks_file),
        addresses={"identity": "http://127.0.0.1:9", "procedures": "http://127.0.0.1:9"},
        client_key=key,
        digest_key=base64.b64encode(bytes(32)).decode(),
        key_encryption_key=base64.b64encode(bytes(32)).decode(),
        profile="sandbox",
        portal_url=portal_url,
        portal_login_id=place.credentials.portal.login_id,
        portal_password=place.credentials.portal.password,
    )


async def test_the_portals_webhook_makes_the_connector_poll_at_once(
    logs: dict[Zone, str],
    connector_url: str,
    gateway_settings: Any,
    started: Any,
    served: Any,
    issuer: Issuer,
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    secret = place.credentials.portal.webhook_secret
    portal = server.create(place, lambda name: pytest.fail(name))
    settings = gateway_settings.model_copy(
        update={"log_urls": {Zone.INTERNET: SecretStr(logs[Zone.INTERNET])}, "webhook_secret": SecretStr(secret)}
    )
    async with served(portal.app) as portal_url, asyncio.TaskGroup() as group:
        connector = create_connector(connector_settings(connector_url, logs, issuer, place, portal_url))
        async with started(settings) as client:
            gateway_service = client._transport.app.app.own.state.service
            workers = [group.create_task(work(service)) for service in (connector, gateway_service)]
            await eventually(lambda: _polled(connector.database), within=20)
            async with served(client._transport.app) as town:
                write_json(tmp_path / "config.json", {"webhook_url": f"{town}/webhooks/mynaportal"})
                began = asyncio.get_running_loop().time()
                receipt_no = await _file(portal_url)
                await eventually(lambda: _listed(connector.database, receipt_no), within=20)
                took = asyncio.get_running_loop().time() - began
            for worker in workers:
                worker.cancel()
    _no_personal_data(portal)
    assert took < 10, "the next poll of its own would be five minutes away"


async def _file(portal_url: str) -> str:
    async with http.connect(portal_url) as citizen:
        answer = await citizen.post("/_citizen/packages", params={"procedure_id": "sandbox-ch-01"}, content=b"PK")
        return str(answer.json()["receipt_no"])


async def _polled(database: Any) -> bool:
    async with database.begin() as session:
        return bool((await session.execute(text("SELECT count(polled_at) FROM portals"))).scalar_one())


async def _listed(database: Any, receipt_no: str) -> bool:
    async with database.begin() as session:
        statement = text("SELECT count(*) FROM portal_applications WHERE receipt_no = :receipt_no")
        return bool((await session.execute(statement, {"receipt_no": receipt_no})).scalar_one())


def _no_personal_data(portal: Counterpart) -> None:
    event = PortalPollRequested(portal_id=new_id(), portal="mynaportal")
    assert set(json.loads(event.model_dump_json())) == {"portal_id", "portal"}
    assert [entry["status"] for entry in portal.ledger.entries if entry["kind"] == "webhook_sent"] == [204]
