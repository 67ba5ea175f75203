"""Raw packages as the portal's citizen side makes them, and the connector that hands them over."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from town_kit.auth import Role
from town_kit.ids import new_id
from town_kit.testing.files import nothing_on_disk
from town_procedures.applications import accepting, settling
from town_sandbox.mynaportal.package import Attachment, build_package, unzip_members, zip_members
from town_sandbox.mynaportal.profile import sandbox_profile

TOWN = "174611"
PROCEDURES = {"CH-01": "sandbox-jidoteate-nintei", "LC-01": "sandbox-yokaigo-nintei"}
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
INTAKE_SCOPES = "packages:intake raw-packages:read"
KEPT_ASIDE = {
    "raw_packages",
    "blobs",
    "blob_chunks",
    "quarantined_packages",
    "outbox",
    "idempotency_keys",
    "audit_records",
    "audit_pending",
}
"""What a package that is put aside changes: it is kept and told, and that is all."""
CLERK_SCOPES = "quarantined-packages:read quarantined-packages:release applications:read applications:accept"


@dataclass
class Portal:
    """What reaches the town by the portal; each object has receipt numbers of its own."""

    api: Any
    authority: Any
    receipt_no: str = field(default_factory=lambda: f"R-{new_id().hex[:20]}")

    def package(self, card: Any, code: str = "CH-01", **changes: Any) -> bytes:
        """A raw package with one attachment, signed by the card (``None``: by login only)."""
        wanted = {
            "procedure_id": PROCEDURES[code],
            "procedure_title": "見本",
            "municipality_code": TOWN,
            "signed_at": self.api.clock.now(),
            "answers": self.api.sample(code),
            "attachments": [Attachment("bank_account_proof", "通帳.pdf", "application/pdf", PDF)]
            if code == "CH-01"
            else [],
            "card": card,
        }
        return build_package(sandbox_profile(), **(wanted | changes))

    def altered(self, package: bytes, **members: bytes | None) -> bytes:
        """The package with members replaced (or, with ``None``, left out) by name; ``__`` stands for a dot."""
        found = unzip_members(package)
        for name, content in members.items():
            name = name.replace("__", ".")
            if content is None:
                del found[name]
            else:
                found[name] = content
        return zip_members(found)

    def connector(self) -> dict[str, str]:
        return dict(self.api.issuer.headers(Role.SERVICE, INTAKE_SCOPES, client_id="service:connector"))

    async def send(self, package: bytes, *, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        """Hand a package over as the connector does."""
        asked = {
            "source": "mynaportal",
            "receipt_no": self.receipt_no,
            "received_at": self.api.clock.now().isoformat(),
            "mynaportal_procedure_id": PROCEDURES["CH-01"],
        }
        sent = {**(headers or self.connector()), "Content-Type": "application/zip"}
        answer: httpx.Response = await self.api.client.post(
            "/v1/intake", params=asked | query, content=package, headers=sent
        )
        return answer

    async def received(self, package: bytes, **query: Any) -> dict[str, Any]:
        """The answer to a package that must be stored."""
        answer = await self.send(package, **query)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def applications(self) -> list[Any]:
        query = "SELECT * FROM applications WHERE receipt_no = :no"
        return list(await self.api.rows(query, no=self.receipt_no))

    async def events(self, key: str) -> list[str]:
        rows = await self.api.rows("SELECT type FROM outbox WHERE key = cast(:key AS uuid) ORDER BY seq", key=key)
        return [row[0].removeprefix("town.procedures.").removesuffix(".v1") for row in rows]

    async def settle(self) -> int:
        ports = self.api.service.extras["ports"]
        return await settling.settle_pending(
            self.api.service.database, ports.signatures.recheck, self.api.clock, ports.calendar
        )

    async def accept(self) -> int:
        ports = self.api.service.extras["ports"]
        return await accepting.accept_batch(self.api.service.database, ports.catalogue, self.api.clock, ports.calendar)

    def clerk(self, version: int | None = None) -> dict[str, str]:
        headers: dict[str, str] = self.api.officer(scopes=CLERK_SCOPES)
        return {**headers, "If-Match": f'"{version}"'} if version is not None else headers

    def lists_run_out(self) -> None:
        """The newest revocation lists are past their next update."""
        now = self.api.clock.now()
        self.authority.ca.publish_crls(self.authority.lists, now - timedelta(days=2), timedelta(days=1))
        self.authority.crl.refresh()

    async def put_aside(self, package: bytes, reason: str, **query: Any) -> dict[str, Any]:
        """Hand over a package that must be stored and quarantined with ``reason``, and nothing else.

        One record tells it, what was written on the way to disk is gone, and the next package is taken.
        """
        known = {row.id for row in await self.api.rows("SELECT id FROM audit_records")}
        before = await self.api.contents()
        with nothing_on_disk():
            answer = await self.received(package, **query)
        after = await self.api.contents()
        assert {table for table in after if after[table] != before[table]} == KEPT_ASIDE
        records = await self.api.rows("SELECT id, action, result FROM audit_records")
        assert [(r.action, r.result) for r in records if r.id not in known] == [("package.intake", "done")]
        assert (answer["outcome"], answer["reason"], answer["application_id"]) == ("quarantined", reason, None)
        assert await self.applications() == []
        view = await self.api.client.get(
            f"/v1/quarantined-packages/{answer['quarantined_package_id']}", headers=self.clerk()
        )
        document: dict[str, Any] = view.json()
        assert document["state"] == "quarantined"
        assert await self.events(document["id"]) == ["quarantined-package.quarantined"]
        assert len(await self.api.rows("SELECT 1 FROM raw_packages WHERE receipt_no = :no", no=self.receipt_no)) == 1
        legitimate = await self.received(self.package(self.authority.card()), receipt_no=f"R-{new_id().hex[:20]}")
        assert legitimate["outcome"] == "received"
        return document


@pytest.fixture
def portal(api: Any, authority: Any) -> Portal:
    return Portal(api, authority)
