"""`standardization` on a real PostgreSQL, beside the real `procedures` and the real `identity` in the same process."""

import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from sqlalchemy import text

import town_identity.main
import town_procedures.main
from town_identity.keys import create_ring
from town_identity.settings import IdentitySettings
from town_kit import http
from town_kit.app import create_app
from town_kit.auth import Role
from town_kit.auth.jose import generate_signing_key, jwks
from town_kit.clock import FixedClock
from town_kit.ids import new_id
from town_kit.messaging.event import Reader, Received
from town_kit.service import Service
from town_kit.testing import PostgresServer
from town_kit.vaulting import VaultPrivateKey, save_public_key
from town_procedures.catalogue import load_catalogue
from town_procedures.settings import ProceduresSettings
from town_procedures.wiring import SHIPPED
from town_sandbox.jpki import JpkiTestAuthority
from town_sandbox.mynaportal.package import build_package
from town_sandbox.mynaportal.profile import sandbox_profile
from town_standardization.hand_overs import fetch_batch
from town_standardization.main import MIGRATIONS, create_service
from town_standardization.ports import Ports
from town_standardization.settings import StandardizationSettings

NOW = "2026-10-05T10:00+09:00"
ISSUER = "https://identity.town.test"
NUMBERING_SCOPE = "031:app_submit/v10/jutogaishaatenabangofuban:Create"
SCOPES = {
    "023": "023:care_need_certifications:Read 023:care_need_certifications:Create",
    "027": "027:child_allowance_applications:Read 027:child_allowance_applications:Create",
}
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def numbers_in(value: Any) -> list[str]:
    """Every My Number in a sample."""
    if isinstance(value, dict):
        return [n for key, inner in value.items() for n in ([inner] if key == "my_number" else numbers_in(inner))]
    return [n for inner in value for n in numbers_in(inner)] if isinstance(value, list) else []


@dataclass
class World:
    """The three services as their callers see them."""

    service: Service
    client: httpx.AsyncClient
    procedures: httpx.AsyncClient
    procedures_service: Service
    identity_service: Service
    clock: FixedClock
    drop: Path
    officer: UUID = field(default_factory=new_id)

    @property
    def ports(self) -> Ports:
        found: Ports = self.service.extras["ports"]
        return found

    def headers(
        self, role: Role, scopes: str, *, subject: UUID | None = None, amr: tuple[str, ...] = ("pwd", "otp")
    ) -> dict[str, str]:
        tokens = self.identity_service.extras["ports"].tokens
        issued = tokens.issue(
            subject=subject or self.officer, role=role, client_id="test", scopes=scopes.split(), seconds=600, amr=amr
        )
        return {"Authorization": f"Bearer {issued.token}", "Idempotency-Key": str(new_id())}

    def vendor(self, business_id: str = "027", scopes: str | None = None) -> dict[str, str]:
        return self.headers(Role.VENDOR, scopes or SCOPES[business_id], amr=())

    def staff(self, scopes: str, **more: Any) -> dict[str, str]:
        return self.headers(Role.STAFF, scopes, **more)

    def sample(self, code: str, name: str = "valid") -> dict[str, Any]:
        folder = load_catalogue(SHIPPED)[code].folder
        found: dict[str, Any] = json.loads((folder / "samples" / f"{name}.json").read_text(encoding="utf-8"))
        return found

    def numbers_in(self, code: str) -> list[str]:
        """Every My Number in a procedure's sample."""
        return numbers_in(self.sample(code)["answers"])

    async def accepted(
        self, code: str, answers: dict[str, Any] | None = None, *, person: UUID | None = None, heard: bool = True
    ) -> UUID:
        """An application a clerk filed at the counter and accepted; its event has reached this service."""
        sample = self.sample(code)
        role = "applicant" if code == "CH-01" else "subject"
        body = {
            "procedure_code": code,
            "answers": answers or sample["answers"],
            "attachments": [await self._attach(kind) for kind in sample["attachments"]],
            "parties": [{"role": role, "person_id": str(person) if person else None, "protected": False}],
            "channel": "counter",
        }
        filing = self.staff("applications:submit applications:read applications:accept")
        answer = await self.procedures.post("/v1/applications", json=body, headers=filing)
        assert answer.status_code == 201, answer.text
        application_id = UUID(answer.json()["id"])
        accepting = self.staff("applications:accept") | {"If-Match": answer.headers["etag"]}
        moved = await self.procedures.post(f"/v1/applications/{application_id}/accept", headers=accepting)
        assert moved.status_code == 200, moved.text
        if heard:
            await self.deliver(application_id)
        return application_id

    async def withdraw(self, application_id: UUID, *, heard: bool = True) -> None:
        """The clerk takes an application back on the applicant's word; the event has reached this service."""
        path = f"/v1/applications/{application_id}"
        reading = self.staff("applications:read applications:withdraw")
        etag = (await self.procedures.get(path, headers=reading)).headers["etag"]
        taking = self.staff("applications:withdraw") | {"If-Match": etag}
        answer = await self.procedures.post(f"{path}/withdraw", headers=taking)
        assert answer.status_code == 200, answer.text
        if heard:
            await self.deliver(application_id)

    async def _attach(self, kind: str) -> dict[str, str]:
        sent = self.staff("attachments:upload applications:submit") | {"Content-Type": "application/pdf"}
        path = f"/v1/attachments/{new_id()}"
        answer = await self.procedures.put(path, params={"kind": kind}, content=PDF, headers=sent)
        assert answer.status_code == 201, answer.text
        return {"id": answer.json()["id"], "sha256": answer.json()["sha256"]}

    async def put_aside(
        self, code: str, answers: dict[str, Any], *, receipt_no: str | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A package that came by the portal for another town, as the clerk sees it."""
        portal_id = load_catalogue(SHIPPED)[code].mynaportal[0].procedure_id
        wanted = {
            "procedure_id": portal_id,
            "procedure_title": "見本",
            "municipality_code": "172014",
            "signed_at": self.clock.now(),
            "answers": answers,
            "attachments": [],
            "card": None,
        }
        return await self.sent_aside(code, build_package(sandbox_profile(), **(wanted | changes)), receipt_no)

    async def sent_aside(self, code: str, package: bytes, receipt_no: str | None = None) -> dict[str, Any]:
        """A package the connector hands over and procedures puts aside, as the clerk sees it."""
        query = {
            "source": "mynaportal",
            "receipt_no": receipt_no or f"R-{new_id().hex[:20]}",
            "received_at": self.clock.now().isoformat(),
            "mynaportal_procedure_id": load_catalogue(SHIPPED)[code].mynaportal[0].procedure_id,
        }
        sent = self.headers(Role.SERVICE, "packages:intake", amr=()) | {"Content-Type": "application/zip"}
        answer = await self.procedures.post("/v1/intake", params=query, content=package, headers=sent)
        assert answer.json()["outcome"] == "quarantined", answer.text
        path = f"/v1/quarantined-packages/{answer.json()['quarantined_package_id']}"
        reading = self.staff("quarantined-packages:read")
        found: dict[str, Any] = (await self.procedures.get(path, headers=reading)).json()
        return found

    async def release(self, view: dict[str, Any]) -> None:
        """The clerk presses the button, and the event reaches this service."""
        path = f"/v1/quarantined-packages/{view['id']}/release"
        sent = self.staff("quarantined-packages:release") | {"If-Match": f'"{view["version"]}"'}
        answer = await self.procedures.post(path, headers=sent)
        assert answer.status_code == 200, answer.text
        await self.deliver(UUID(view["id"]))

    async def deliver(self, application_id: UUID) -> None:
        """Hand this service the application's events, as its consumers would get them from the log."""
        await self.hear(await self.told(application_id))

    async def told(self, application_id: UUID) -> list[Any]:
        """What procedures published about an application."""
        async with self.procedures_service.database.begin() as session:
            rows = await session.execute(
                text("SELECT * FROM outbox WHERE key = :key ORDER BY sequence"), {"key": application_id}
            )
            return list(rows.all())

    async def hear(self, events: list[Any]) -> None:
        """Hand this service these events."""
        handlers = {reader.TYPE: (reader, run) for c in self.service.consumers for reader, run in c.handlers.items()}
        for event in events:
            if event.type in handlers:
                reader, run = handlers[event.type]
                await self.receive(reader, run, bytes(event.data), key=event.key, occurred_at=event.occurred_at)

    async def receive(self, reader: type[Reader], run: Any, data: bytes, **envelope: Any) -> None:
        received = Received(
            data=reader.model_validate_json(data), sequence=1, id=new_id(), traceparent=None, **envelope
        )
        async with self.service.database.begin() as session:
            await run(session, received)

    async def settle(self) -> None:
        """Run the job until it finds nothing."""
        while await fetch_batch(self.ports):
            pass

    async def pulled(self, business_id: str, application_id: UUID) -> dict[str, Any]:
        """The newest record of an application as the core system gets it."""
        return (await self.all_pulled(business_id, application_id))[-1]

    async def all_pulled(self, business_id: str, application_id: UUID) -> list[dict[str, Any]]:
        """The records of an application as the core system gets them, oldest first."""
        rows = await self.rows("SELECT key FROM records WHERE application_id = :id", id=application_id)
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            path = f"/v1/data-linkage/{business_id}/records"
            page = (await self.client.get(path, params=query, headers=self.vendor(business_id))).json()
            found += [one for one in page["records"] if one["key"] in {row.key for row in rows}]
            if len(found) == len(rows):
                return found
            assert page["records"], "the record is in no page"
            cursor = page["next_cursor"]

    @contextmanager
    def between(self, neighbour: str, hook: Any) -> Iterator[None]:
        """While a neighbour is called: ``hook(path)`` runs first, and what it answers (an ASGI app) answers instead."""
        there = http.registered_app(neighbour)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await ((await hook(scope["path"])) or there)(scope, receive, send)

        http.register_app(neighbour, app)
        try:
            yield
        finally:
            http.register_app(neighbour, there)

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Rows as the database really holds them, past row security."""
        async with self.service.database.begin() as session:
            return list((await session.execute(text(query), parameters)).all())

    async def rows_changed(self, statement: str, **parameters: Any) -> None:
        """Change rows as only the database's own hand can."""
        async with self.service.database.begin() as session:
            await session.execute(text(statement), parameters)

    async def events(self, key: UUID) -> list[tuple[str, dict[str, Any]]]:
        """What this service published about an aggregate."""
        rows = await self.rows("SELECT type, data FROM outbox WHERE key = :key ORDER BY sequence", key=key)
        return [(row.type, json.loads(bytes(row.data))) for row in rows]


@pytest.fixture(scope="session")
def authority() -> JpkiTestAuthority:
    return JpkiTestAuthority.create()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def vault_database() -> str:
    """The name of the vault's database; a test that works on every row in it gives itself one of its own."""
    return "standardization"


@pytest.fixture
async def world(
    vault_database: str,
    postgres_server: PostgresServer,
    authority: JpkiTestAuthority,
    clock: FixedClock,
    tmp_path: Path,
) -> AsyncIterator[World]:
    def database(name: str, migrations: Path) -> str:
        return postgres_server.create_database(name, migrations).app_url

    def keys() -> dict[str, str]:
        return {n: base64.b64encode(os.urandom(32)).decode() for n in ("key_encryption_key", "digest_key")}

    authority.write_anchors(tmp_path / "anchors")
    authority.publish_crls(tmp_path / "crl", clock.now() - timedelta(hours=1))
    create_ring(tmp_path / "ring")
    client_key, vault_key = generate_signing_key(), VaultPrivateKey.generate()
    client_key.save(tmp_path / "client.pem")
    vault_key.save(tmp_path / "vault.pem")
    save_public_key(tmp_path / "vault.jwk", vault_key.public)
    registered = {
        "client_id": "service:standardization",
        "role": "service",
        "method": "private_key_jwt",
        "jwks": jwks([client_key.public]),
    }
    (tmp_path / "clients.yaml").write_text(yaml.safe_dump({"clients": [registered]}))
    common: dict[str, Any] = {"issuer": ISSUER, "jwks": "asgi:identity"}
    identity = town_identity.main.create_service(
        IdentitySettings(
            **common,
            **keys(),
            database_url=database("identity", town_identity.main.MIGRATIONS),
            key_ring=tmp_path / "ring",
            clients=tmp_path / "clients.yaml",
            test_anchors=tmp_path / "anchors",
            revocation_lists=tmp_path / "crl",
        ),
        clock=clock,
    )
    (tmp_path / "procedures.pem").write_bytes(generate_signing_key().to_pem())
    procedures = town_procedures.main.create_service(
        ProceduresSettings(
            **common,
            **keys(),
            database_url=database("procedures", town_procedures.main.MIGRATIONS),
            vault_public_key=tmp_path / "vault.jwk",
            client_key=tmp_path / "procedures.pem",
            addresses={"identity": "asgi:identity"},
        ),
        clock=clock,
    )
    vault_keys = {n: base64.b64encode(n.encode().ljust(32)).decode() for n in ("key_encryption_key", "digest_key")}
    service = create_service(
        StandardizationSettings(
            **common,
            **vault_keys,
            database_url=database(vault_database, MIGRATIONS),
            vault_private_key=tmp_path / "vault.pem",
            client_key=tmp_path / "client.pem",
            addresses={"identity": "asgi:identity", "procedures": "asgi:procedures"},
            drop_folder=tmp_path / "drop",
        ),
        clock=clock,
    )
    (tmp_path / "drop" / "027").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        clients = []
        for one in (identity, procedures, service):
            app = create_app(one)
            http.register_app(one.name, app)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app=app)
            client = httpx.AsyncClient(transport=transport, base_url=f"http://{one.name}")
            clients.append(await stack.enter_async_context(client))
        yield World(service, clients[2], clients[1], procedures, identity, clock, tmp_path / "drop" / "027")
