"""`procedures` on a real PostgreSQL, with the real signature rules of identity behind its port."""

import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from town_identity.jpki.anchors import load_anchors
from town_identity.jpki.crl_file import CrlFolder
from town_identity.jpki.profile import Realm, load_profile
from town_identity.jpki.verify import JpkiVerifier, VerifiedSigner
from town_kit.app import create_app
from town_kit.auth import Role
from town_kit.clock import FixedClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.messaging.event import Received
from town_kit.problems import DependencyUnavailable
from town_kit.service import Service
from town_kit.testing import Issuer, PostgresServer
from town_kit.testing.auth import ISSUER
from town_kit.testing.pages import all_items
from town_kit.vaulting import VaultPrivateKey, save_public_key
from town_procedures.applications import Holder, SerialStatus, SignatureFacts
from town_procedures.catalogue import load_catalogue
from town_procedures.main import MIGRATIONS, create_service
from town_procedures.settings import ProceduresSettings
from town_procedures.wiring import SHIPPED
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard

NOW = "2027-01-12T10:00+09:00"
PEOPLE = UUID("6f1d9d3e-0000-4000-8000-000000000001")
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
RESIDENT_SCOPES = "applications:submit applications:read applications:withdraw"
STAFF_SCOPES = (
    "applications:submit applications:read applications:accept applications:draft applications:decide"
    " applications:withdraw work-queue:read"
)


Send = Callable[[], Awaitable[httpx.Response]]


class LibraryVerifier:
    """Identity's own rules, without its HTTP door: the person is derived from the serial."""

    def __init__(self, verifier: JpkiVerifier) -> None:
        self.verifier = verifier
        self.seen: dict[str, VerifiedSigner] = {}
        self.away = False

    async def verify(self, *, digests: Mapping[str, bytes], cms: bytes, received_at: datetime) -> SignatureFacts:
        if self.away:
            raise DependencyUnavailable("署名を確認するシステムが応答しません。", retry_after=5)
        signer = await self.verifier.verify_signature(cms, digests, received_at)
        assert signer.attributes is not None
        reference = str(uuid5(PEOPLE, signer.serial_hex))
        self.seen[reference] = signer
        return SignatureFacts(
            person_id=uuid5(PEOPLE, signer.issuer + signer.serial_hex),
            issuer=signer.issuer,
            serial_reference=reference,
            generation=signer.generation,
            revocation=signer.revocation.status.value,
            revoked_later=signer.revocation.revoked_later,
            checked_at=received_at.isoformat(),
            birth=signer.attributes.birth,
            name_substitutes=signer.attributes.name_substitutes,
            address_substitutes=signer.attributes.address_substitutes,
            holder=Holder(signer.attributes.name, signer.attributes.sex.value, signer.attributes.address),
        )

    async def recheck(self, serial_reference: str, received_at: datetime) -> SerialStatus:
        if serial_reference not in self.seen:  # another test's; identity answers 404, and its port so
            raise DependencyUnavailable("署名を確認するシステムが応答しません。", retry_after=5)
        found = self.verifier.check_status(self.seen[serial_reference].question(), received_at)
        return SerialStatus(found.status.value, found.revoked_later)


def sample(code: str) -> dict[str, Any]:
    """The first valid sample of a procedure's folder."""
    procedure = load_catalogue(SHIPPED)[code]
    files = sorted((procedure.folder / "samples").glob("valid*.json"))
    answers: dict[str, Any] = json.loads(files[0].read_text())["answers"]
    return answers


@dataclass
class Authority:
    """The sandbox's JPKI with a folder of lists that the verifier watches."""

    ca: JpkiTestAuthority
    lists: Path
    verifier: JpkiVerifier
    crl: CrlFolder
    clock: FixedClock

    def publish(self) -> None:
        self.ca.publish_crls(self.lists, self.clock.now())
        self.crl.refresh()

    def card(self, **options: Any) -> VirtualCard:
        return VirtualCard.issue(self.ca, DEMO_HOLDERS["hanako"], now=options.pop("now", self.clock.now()), **options)


@dataclass
class Api:
    """The service as its callers see it."""

    service: Service
    client: httpx.AsyncClient
    issuer: Issuer
    clock: FixedClock
    admin: Database
    vault: VaultPrivateKey
    signatures: LibraryVerifier
    resident_id: UUID = field(default_factory=new_id)
    officer_id: UUID = field(default_factory=new_id)

    def sample(self, code: str) -> dict[str, Any]:
        return sample(code)

    def resident(self, person: UUID | None = None) -> dict[str, str]:
        return dict(self.issuer.headers(Role.RESIDENT, RESIDENT_SCOPES, subject=person or self.resident_id))

    def officer(self, officer: UUID | None = None, scopes: str = STAFF_SCOPES) -> dict[str, str]:
        return dict(self.issuer.headers(Role.STAFF, scopes, subject=officer or self.officer_id, amr=("pwd", "otp")))

    async def queue(self, **query: Any) -> set[str]:
        """All that a clerk finds in the work queue, whatever other tests have left there."""
        items = await all_items(self.client, "/v1/work-queue", self.officer(), **query)
        return {item["id"] for item in items}

    async def upload(
        self,
        headers: dict[str, str],
        kind: str,
        *,
        content: bytes = PDF,
        media_type: str = "application/pdf",
        attachment_id: object = None,
    ) -> httpx.Response:
        """Send one file under an id of its own."""
        path = f"/v1/attachments/{attachment_id or new_id()}"
        sent = {**headers, "Content-Type": media_type, "Idempotency-Key": str(new_id())}
        return await self.client.put(path, params={"kind": kind}, content=content, headers=sent)

    async def attach(self, headers: dict[str, str], kind: str, **file: Any) -> dict[str, str]:
        """Upload a small PDF, or the file given, and answer how an application names it."""
        answer = await self.upload(headers, kind, **file)
        assert answer.status_code == 201, answer.text
        return {"id": answer.json()["id"], "sha256": answer.json()["sha256"]}

    async def link(self, old: UUID, new: UUID) -> None:
        """番号紐付, as the worker hears it from identity: by the consumer's own reader and in its own transaction."""
        (consumer,) = [c for c in self.service.consumers if c.name == "procedures.persons"]
        ((reader, handler),) = consumer.handlers.items()
        event = Received(
            data=reader.model_validate({"from_person_id": str(old), "to_person_id": str(new)}),
            key=old,
            sequence=1,
            id=new_id(),
            occurred_at=self.clock.now(),
            traceparent=None,
        )
        async with self.service.database.begin() as session:
            await handler(session, event)

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Rows as the database really holds them, past row security."""
        async with self.service.database.begin() as session:
            return list((await session.execute(text(query), parameters)).all())

    async def contents(self) -> dict[str, tuple[Any, ...]]:
        """What each table holds: how many rows, and a sum over all of them."""
        tables = [row[0] for row in await self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        each = "SELECT '{0}', count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {0} t"
        found = await self.rows(" UNION ALL ".join(each.format(table) for table in tables))
        return {table: tuple(values) for table, *values in found}

    async def refuses(self, send: Send, status: int, slug: str, *, action: str, then: Send) -> httpx.Response:
        """S0 of the acceptance list: a refusal leaves one record of itself and nothing else, and hinders nothing.

        ``send`` is the request, ``action`` what its audit record says, ``then`` a legitimate one that must succeed.
        """
        known = {row.id for row in await self.rows("SELECT id FROM audit_records")}
        before = await self.contents()
        answer = await send()
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
        problem = answer.json()
        assert problem["type"] == f"urn:town:problem:{slug}"
        assert problem["trace_id"]
        after = await self.contents()
        assert {table for table in after if after[table] != before[table]} == {"audit_records", "audit_pending"}
        records = await self.rows("SELECT id, action, result FROM audit_records")
        assert [(r.action, r.result) for r in records if r.id not in known] == [(action, f"refused:{slug}")]
        legitimate = await then()
        assert legitimate.is_success, legitimate.text
        return answer


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def jpki() -> JpkiTestAuthority:
    return JpkiTestAuthority.create()


@pytest.fixture
def authority(jpki: JpkiTestAuthority, tmp_path: Path, clock: FixedClock) -> Authority:
    anchors_folder, lists = tmp_path / "anchors", tmp_path / "lists"
    anchors_folder.mkdir()
    lists.mkdir()
    jpki.write_anchors(anchors_folder)
    anchors = load_anchors({Realm.TEST: anchors_folder}, "development")
    crl = CrlFolder(lists, anchors, clock)
    made = Authority(jpki, lists, JpkiVerifier(anchors, load_profile(), crl), crl, clock)
    made.publish()
    return made


@pytest.fixture
async def api(
    postgres_server: PostgresServer, issuer: Issuer, clock: FixedClock, authority: Authority, tmp_path: Path
) -> AsyncIterator[Api]:
    urls = postgres_server.create_database("procedures", MIGRATIONS)
    vault = tmp_path / "vault.jwk"
    vault_key = VaultPrivateKey.generate()
    save_public_key(vault, vault_key.public)
    issuer.clock = clock
    settings = ProceduresSettings(
        database_url=urls.app_url,
        issuer=ISSUER,
        jwks=str(issuer.jwks_file),
        vault_public_key=vault,
        key_encryption_key=base64.b64encode(os.urandom(32)).decode(),
        digest_key=base64.b64encode(b"d" * 32).decode(),
        transport="pglog",
    )
    signatures = LibraryVerifier(authority.verifier)
    service = create_service(settings, clock=clock, signatures=signatures)
    app: FastAPI = create_app(service)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://procedures") as client:
            yield Api(service, client, issuer, clock, service.database, vault_key, signatures)
