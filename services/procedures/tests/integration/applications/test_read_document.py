"""Opening a file of an application: staff open what was stored for the town; what is for the vault is only named."""

import hashlib
import random
from typing import Any

import pytest

from town_kit.blobs import CHUNK
from town_kit.ids import new_id
from town_sandbox.mynaportal.package import Attachment

READER = "applications:read documents:read"
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n"
LONG = PDF + b"% " + random.Random(1).randbytes(CHUNK).hex().encode() + b"\n%%EOF\n"  # three chunks


async def filed(portal: Any, authority: Any, kind: str = "bank_account_proof") -> tuple[str, dict[str, Any]]:
    """An application by the portal with one long file; its id, and the file as its content shows it."""
    files = [Attachment(kind, "通帳.pdf", "application/pdf", LONG)]
    if kind != "bank_account_proof":
        files.append(Attachment("bank_account_proof", "通帳.pdf", "application/pdf", LONG))
    answer = await portal.received(portal.package(authority.card(), attachments=files))
    path = f"/v1/applications/{answer['application_id']}"
    content = (await portal.api.client.get(f"{path}/answers", headers=portal.api.officer())).json()
    (shown,) = [document for document in content["documents"] if document["kind"] == kind]
    return path, shown


async def test_staff_open_a_file_and_the_audit_trail_says_why(portal: Any, authority: Any) -> None:
    path, shown = await filed(portal, authority)
    assert (shown["media_type"], shown["size"]) == ("application/pdf", len(LONG))
    officer = portal.api.officer(scopes=READER)
    answer = await portal.api.client.get(f"{path}/documents/{shown['id']}", headers=officer)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(LONG).digest()
    assert answer.headers["content-disposition"] == f'attachment; filename="bank_account_proof-{shown["id"]}.pdf"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    query = "SELECT * FROM audit_records WHERE principal = :me AND action = 'application.read-document'"
    (record,) = await portal.api.rows(query, me=portal.api.officer_id)
    (row,) = await portal.applications()
    assert (record.result, record.purpose, record.fields) == ("done", "申請の審査", ["documents/bank_account_proof"])
    assert [str(person) for person in record.subjects] == [row.signature["person_id"]]


async def test_a_file_for_the_vault_says_who_can_open_it(portal: Any, authority: Any) -> None:
    path, shown = await filed(portal, authority, "statement_of_custody_apart")
    officer = portal.api.officer(scopes=READER)

    async def send() -> Any:
        return await portal.api.client.get(f"{path}/documents/{shown['id']}", headers=officer)

    async def then() -> Any:
        return await portal.api.client.get(path, headers=officer)

    answer = await portal.api.refuses(send, 409, "document-for-vault", action="application.read-document", then=then)
    assert "個人番号利用事務" in answer.json()["detail"]


async def test_a_file_of_another_application_is_not_there(portal: Any, authority: Any) -> None:
    path, shown = await filed(portal, authority)
    portal.receipt_no = f"R-{new_id().hex[:20]}"
    other, _ = await filed(portal, authority)
    officer = portal.api.officer(scopes=READER)
    for wrong in (f"{other}/documents/{shown['id']}", f"{path}/documents/{new_id()}"):
        answer = await portal.api.client.get(wrong, headers=officer)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:town:problem:not-found")


@pytest.mark.parametrize("who", ["without the scope", "a resident"])
async def test_nobody_else_opens_a_file(portal: Any, authority: Any, who: str) -> None:
    path, shown = await filed(portal, authority)
    headers = portal.api.resident() if who == "a resident" else portal.api.officer(scopes="applications:read")
    answer = await portal.api.client.get(f"{path}/documents/{shown['id']}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:town:problem:insufficient-scope")
