"""From the citizen at ぴったりサービス through the connector into procedures, with nothing between them left out."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import httpx
import pytest
import uvicorn

from town_gateway.main import create_connector
from town_gateway.mynaportal import repository
from town_kit import http
from town_kit.auth import Role
from town_kit.service import Service
from town_kit.testing.pages import all_items
from town_sandbox.configuration import Place
from town_sandbox.counterpart import Counterpart
from town_sandbox.main import open_card
from town_sandbox.mynaportal import server

PORTAL_PROCEDURE = "sandbox-jidoteate-nintei"
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass
class Way:
    """The portal, the connector, and the services behind it."""

    portal: Counterpart
    citizen: httpx.AsyncClient
    connector: Service
    composed: Any

    async def poll(self) -> None:
        """What the connector does when it hears "poll now"."""
        async with self.connector.database.begin() as session:
            await repository.poll_now(session, "sandbox", self.connector.clock.now())
        await self._run("connector.poll")

    async def carry(self) -> None:
        """Carry in whatever is due."""
        await self._run("connector.carry")

    async def _run(self, name: str) -> None:
        job = next(one for one in self.connector.jobs if one.name == name)
        while await job.run():
            pass

    async def files(self, **changes: Any) -> str:
        """A citizen signs and files a 認定請求; its 受付番号."""
        sample = resources.files("town_procedures.catalogue").joinpath("child_allowance_claim/samples/valid.json")
        example = json.loads(sample.read_text("utf-8"))
        attachment = {
            "filename": "tsucho.pdf",
            "media_type": "application/pdf",
            "content": base64.b64encode(PDF).decode(),
        }
        body = {
            "procedure_id": PORTAL_PROCEDURE,
            "procedure_title": "児童手当 認定請求",
            "answers": example["answers"],
            "attachments": [{"kind": kind, **attachment} for kind in example["attachments"]],
            "card": "hanako",
            **changes,
        }
        answer = await self.citizen.post("/_citizen/applications", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["receipt_no"])

    async def found(self, path: str, receipt_no: str, scopes: str) -> list[dict[str, Any]]:
        """What a clerk finds under a receipt number."""
        headers = self.composed.issuer.headers(Role.STAFF, scopes, amr=("pwd", "otp"))
        async with self.composed.client("procedures") as client:
            items = await all_items(client, path, headers)
        return [item for item in items if item["receipt_no"] == receipt_no]

    def told(self, receipt_no: str) -> list[str]:
        """The codes the portal was told about a receipt number."""
        entries = self.portal.ledger.entries
        return [e["code"] for e in entries if e["kind"] == "status" and e["receipt_no"] == receipt_no]


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    serving = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving.config.load()
    task = asyncio.create_task(serving._serve([sock]))
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        serving.should_exit = serving.force_exit = True
        await task
        sock.close()


@pytest.fixture
async def way(composed: Any) -> AsyncIterator[Way]:
    """The town as composed, and a portal that is there."""
    place = composed.town.place.sandbox
    portal = server.create(Place(place), lambda name: open_card(place, name))
    async with served(portal.app) as address:
        settings = composed.services["connector"].settings.model_copy(update={"portal_url": address})
        connector = create_connector(settings)
        async with connector.database.running(), connector.resources[0](), http.connect(address) as citizen:
            yield Way(portal, citizen, connector, composed)


async def test_a_signed_application_stands_in_procedures_and_the_portal_knows_it_arrived(way: Way) -> None:
    receipt_no = await way.files()

    await way.poll()
    assert way.told(receipt_no) == []
    await way.carry()

    (application,) = await way.found("/v1/applications", receipt_no, "applications:read")
    assert application["channel"] == "mynaportal"
    assert application["state"] == "submitted"
    assert way.told(receipt_no) == ["10"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"procedure_id": "unknown"}, "procedure-unknown"),
        ({"municipality_code": "172049"}, "wrong-municipality"),
        ({"card": None}, "signature-invalid"),
    ],
    ids=["unknown procedure", "another town's", "not signed"],
)
async def test_what_is_wrong_is_kept_for_a_clerk_and_the_portal_still_hears_that_it_arrived(
    way: Way, changes: dict[str, Any], reason: str
) -> None:
    receipt_no = await way.files(**changes)

    await way.poll()
    await way.carry()

    (package,) = await way.found("/v1/quarantined-packages", receipt_no, "quarantined-packages:read")
    assert reason in json.dumps(package)
    assert await way.found("/v1/applications", receipt_no, "applications:read") == []
    assert way.told(receipt_no) == ["10"]
