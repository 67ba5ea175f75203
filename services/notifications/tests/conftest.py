"""`notifications` on a real PostgreSQL, with the sandbox's real push and mail servers outside."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from town_kit.app import create_app
from town_kit.auth import Role
from town_kit.clock import FixedClock, SystemClock
from town_kit.ids import new_id, reference
from town_kit.messaging import pglog
from town_kit.messaging.event import Received
from town_kit.service import Service
from town_kit.settings import Zone
from town_kit.testing import Issuer, PostgresServer
from town_kit.testing.auth import ISSUER
from town_notifications.deliveries import planned
from town_notifications.main import MIGRATIONS, create_service
from town_notifications.messages.consumers import READERS, ApplicationFact, tell_parties
from town_notifications.settings import NotificationsSettings

RESIDENT_SCOPES = (
    "messages:read devices:read devices:write contact-points:read contact-points:write"
    " preferences:read preferences:write"
)
STAFF_SCOPES = (
    "emergency-messages:send emergency-messages:read undelivered-messages:read undelivered-messages:handle"
    " templates:read"
)


@dataclass
class Outside:
    """The sandbox's push service and mail server, and what reached them."""

    directory: Path
    addresses: dict[str, str]

    @property
    def service_account(self) -> Path:
        path = self.directory / "service-account.json"
        if not path.exists():
            credentials = json.loads((self.directory / "credentials.json").read_bytes())
            path.write_text(json.dumps(credentials["fcm_service_account"]))
        return path

    def pushed(self, **wanted: str) -> list[dict[str, Any]]:
        return self._received("fcm", kind="message", **wanted)

    def mailed(self, **wanted: str) -> list[dict[str, Any]]:
        return self._received("smtp_control", kind="message", **wanted)

    def fault(self, name: str, **fault: Any) -> None:
        httpx.post(f"{self.addresses[name]}/_faults", json=fault, trust_env=False).raise_for_status()

    def no_faults(self) -> None:
        for name in ("fcm", "smtp_control"):
            httpx.delete(f"{self.addresses[name]}/_faults", trust_env=False)

    def _received(self, name: str, **wanted: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.addresses[name]}/_received", params=wanted, trust_env=False)
        return list(answer.json()["entries"])


@dataclass
class Api:
    """The service as its callers, its neighbours and its worker see it."""

    service: Service
    client: httpx.AsyncClient
    issuer: Issuer
    clock: FixedClock
    outside: Outside
    resident_id: UUID = field(default_factory=new_id)
    officer_id: UUID = field(default_factory=new_id)

    def resident(self, person: UUID | None = None, **more: Any) -> dict[str, str]:
        headers = self.issuer.headers(Role.RESIDENT, RESIDENT_SCOPES, subject=person or self.resident_id)
        return {**headers, **more}

    def officer(self, **more: Any) -> dict[str, str]:
        headers = self.issuer.headers(Role.STAFF, STAFF_SCOPES, subject=self.officer_id, amr=("pwd", "otp"))
        return {**headers, **more}

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Rows as the database really holds them, past row security."""
        async with self.service.database.begin() as session:
            return list((await session.execute(text(query), parameters)).all())

    async def work(self, name: str, *, until_idle: bool = True) -> int:
        """Run a job of the worker; answers how much it did."""
        (job,) = [job for job in self.service.jobs if job.name == name]
        done = total = await job.run()
        while until_idle and done:
            done = await job.run()
            total += done
        return total

    async def send_all(self, lane: str = "ordinary") -> None:
        for channel in ("push", "email"):
            await self.work(f"deliveries.{lane}.{channel}")

    async def register_device(self, token: str, person: UUID | None = None) -> dict[str, Any]:
        body = {"push_token": token, "platform": "android", "app": "kosodate"}
        answer = await self.client.post("/v1/devices", json=body, headers=self.resident(person))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def confirm_address(self, address: str, person: UUID | None = None) -> dict[str, Any]:
        """Register an e-mail address as a resident does: the code is read from the mail that arrived."""
        answer = await self.client.post("/v1/contact-points", json={"address": address}, headers=self.resident(person))
        assert answer.status_code == 201, answer.text
        await self.work("contact-points.confirming")
        code = next(word for word in self.mail_to(address)[-1]["text"].split() if word.isdigit() and len(word) == 6)
        confirmed = await self.client.post(
            f"/v1/contact-points/{answer.json()['id']}/confirm", json={"code": code}, headers=self.resident(person)
        )
        assert confirmed.json()["state"] == "confirmed", confirmed.text
        return dict(confirmed.json())

    def mail_to(self, address: str) -> list[dict[str, Any]]:
        return [mail for mail in self.outside.mailed() if mail["recipients"] == [address]]

    async def hear(self, fact: str, *, event_id: UUID | None = None, **changes: Any) -> UUID:
        """What the consumer does with one event about an application; answers the event's id."""
        kind = f"application.{fact}"
        reader = READERS.get(kind)
        data: dict[str, Any] = {
            "application_id": new_id(),
            "reference": reference("A"),
            "procedure_code": "LC-01",
            "received_at": self.clock.now(),
            "due_on": "2027-02-26",
            "parties": [{"role": "applicant", "person_id": self.resident_id}],
        } | changes
        event = Received(
            data=(reader or ApplicationFact).model_validate(data),
            key=data["application_id"],
            sequence=1,
            id=event_id or new_id(),
            occurred_at=self.clock.now(),
            traceparent=None,
        )
        (consumer,) = [c for c in self.service.consumers if c.name == "notifications.messages"]
        async with self.service.database.begin() as session:
            if reader is None:  # a kind the town has switched off is told as if it were on
                await tell_parties(session, self.service.extras["ports"], kind, event, planned)
            else:
                await consumer.handlers[reader](session, event)
        return event.id

    async def messages(self, event_id: UUID) -> list[Any]:
        return await self.rows("SELECT * FROM messages WHERE source_event_id = :id ORDER BY id", id=event_id)


@pytest.fixture
def clock() -> FixedClock:
    """Ten minutes ago, standing still: the sandbox keeps real time and refuses what was signed in its future."""
    return FixedClock(SystemClock().now() - timedelta(minutes=10))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    directory = tmp_path_factory.mktemp("sandbox")
    command = [sys.executable, "-m", "town_sandbox", "serve", "--directory", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Outside(directory, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def outside(sandbox: Outside) -> Outside:
    sandbox.no_faults()
    return sandbox


@pytest.fixture(scope="session")
def log_dsn(postgres_server: PostgresServer) -> str:
    """The log of the zone INTERNET."""
    urls = postgres_server.create_database("events_internet")
    asyncio.run(pglog.install(urls.owner_dsn))
    return str(urls.app_dsn)


@pytest.fixture
async def api(
    postgres_server: PostgresServer, log_dsn: str, issuer: Issuer, clock: FixedClock, outside: Outside
) -> AsyncIterator[Api]:
    urls = postgres_server.create_database("notifications", MIGRATIONS)
    issuer.clock = clock
    settings = NotificationsSettings(
        database_url=urls.app_url,
        issuer=ISSUER,
        jwks=str(issuer.jwks_file),
        digest_key=base64.b64encode(b"d" * 32).decode(),
        fcm_service_account=outside.service_account,
        fcm_address=outside.addresses["fcm"],
        fcm_token_url=f"{outside.addresses['fcm']}/token",
        smtp_address=outside.addresses["smtp"],
        smtp_tls="none",
        mail_from="no-reply@town.invalid",
        transport="pglog",
        log_urls={Zone.INTERNET: log_dsn},
    )
    service = create_service(settings, clock=clock)
    app = create_app(service)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://notifications") as client:
            await _leave_nothing_due(service)  # nor does it meet what other tests of this database have left
            yield Api(service, client, issuer, clock, outside)
            await _leave_nothing_due(service)


async def _leave_nothing_due(service: Service) -> None:
    """Jobs take what is due whoever made it, so a test takes its own queue away with it."""
    async with service.database.begin() as session:
        for statement in (
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL WHERE state IN ('queued', 'sending')",
            "UPDATE contact_points SET code_due_at = NULL",
            "DELETE FROM devices",
            "DELETE FROM contact_points",
            "UPDATE messages SET state = 'expired', ended_at = created_at WHERE state = 'queued'",
            "UPDATE emergency_messages SET state = 'dispatched' WHERE state = 'confirmed'",
            "UPDATE emergency_messages SET settled = true",
        ):
            await session.execute(text(statement))
