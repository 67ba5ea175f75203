"""The second procedure goes the same way: 要介護認定, filed by a daughter for her mother, decided by staff."""

import base64
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.journey.hops import DEVICE, EMAIL, PDF
from town_onebox.testing import RunningTown

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]

ROOT = Path(__file__).parents[2]
FOLDER, ADAPTER = "care_need_certification", "care_insurance"
TOLD = ["application.submitted", "application.accepted", "application.approved"]
PATIENCE = 30.0


async def file_at_the_portal(client: httpx.AsyncClient, portal: str) -> str:
    """The daughter fills in the form for her mother, signs with her own card and sends; its 受付番号."""
    sample = resources.files("town_procedures.catalogue").joinpath(FOLDER, "samples", "valid.json")
    example = json.loads(sample.read_text("utf-8"))
    scan = {"filename": "hokensho.pdf", "media_type": "application/pdf", "content": base64.b64encode(PDF).decode()}
    body = {
        "procedure_id": "sandbox-yokaigo-nintei",
        "procedure_title": "要介護認定・要支援認定の申請",
        "answers": example["answers"],
        "attachments": [{"kind": kind, **scan} for kind in example["attachments"]],
        "card": "hanako",
    }
    return str(people.told(await client.post(f"{portal}/_citizen/applications", json=body))["receipt_no"])


async def move(client: httpx.AsyncClient, clerk: people.SignedIn, seen: Any, verb: str, body: Any = None) -> Any:
    """A clerk moves an application on, as she saw it last."""
    headers = {**clerk.headers, "If-Match": f'"{seen["version"]}"'}
    answer = await client.post(f"/procedures/v1/applications/{seen['id']}/{verb}", json=body, headers=headers)
    return people.told(answer)


async def test_her_mothers_application_goes_from_the_portal_to_the_decision_and_back(running_town: RunningTown) -> None:
    outside = running_town.town.sandbox_addresses()
    async with httpx.AsyncClient(base_url=running_town.town.public_url, timeout=20, trust_env=False) as client:
        clerk = await people.staff(client, "clerk")
        daughter = await people.resident(running_town.town, client, "hanako")
        receipt_no = await file_at_the_portal(client, outside["mynaportal"])

        async def arrived() -> Any:
            path = "/procedures/v1/applications"
            page = people.told(await client.get(path, params={"procedure_code": "LC-01"}, headers=clerk.headers))
            return next((item for item in page["items"] if item["receipt_no"] == receipt_no), None)

        seen = await eventually(arrived, within=PATIENCE)
        assert (seen["state"], seen["channel"]) == ("submitted", "mynaportal")
        (parties,) = await running_town.rows(
            "procedures", "SELECT party_refs::text FROM applications WHERE id = $1", UUID(seen["id"])
        )
        roles = {party["role"]: party["person_id"] for party in json.loads(parties)}
        assert set(roles) == {"subject", "proxy"}
        assert roles["proxy"] == daughter.person_id

        seen = await move(client, clerk, seen, "accept")

        async def taken_over() -> Any:
            entries = running_town.ledger("core_system", "acknowledged")
            return [e for e in entries if (e["business_id"], e["key"]) == ("023", seen["reference"])]

        assert len(await eventually(taken_over, within=PATIENCE)) == 1
        seen = await move(client, clerk, seen, "decide", {"decision": "approved"})
        seen = await move(client, clerk, seen, "complete")
        assert seen["state"] == "completed"

        async def shown() -> Any:
            portal = f"{outside['mynaportal']}/_citizen/applications/{receipt_no}"
            return people.told(await client.get(portal))["state"] == "90"

        await eventually(shown, within=PATIENCE)
        told = [e for e in running_town.ledger("mynaportal", "status") if e["receipt_no"] == receipt_no]
        assert [entry["code"] for entry in told] == ["10", "20", "60", "90"]

        async def delivered() -> Any:
            page = people.told(await client.get("/notifications/v1/messages", headers=daughter.headers))
            mine = [m for m in page["items"] if m["application_id"] == seen["id"]]
            return mine if sorted(m["kind"] for m in mine) == sorted(TOLD) else None

        inbox = await eventually(delivered, within=PATIENCE)
        for message in inbox:
            await eventually(lambda m=message: reached_once(running_town, m), within=PATIENCE)
        records = [e for e in running_town.ledger("core_system", "record") if e["key"] == seen["reference"]]
        assert [record["history_number"] for record in records] == [1]
        assert not any(e["key"] == seen["reference"] for e in running_town.ledger("core_system", "result_posted"))


async def reached_once(town: RunningTown, message: Any) -> bool:
    """Her phone and her mail box have it; a second one would fail the test here."""
    (delivery,) = await town.rows(
        "notifications",
        "SELECT id::text FROM deliveries WHERE message_id = $1 AND channel = 'email'",
        UUID(message["id"]),
    )
    pushes = [e for e in town.ledger("fcm", "message") if e["device"] == DEVICE]
    mails = [e for e in town.ledger("smtp", "message") if EMAIL in e["recipients"]]
    pushed = sum(e["message"]["data"]["message_id"] == message["id"] for e in pushes)
    mailed = sum(delivery in e["message_id"] for e in mails)
    assert pushed <= 1, message["kind"]
    assert mailed <= 1, message["kind"]
    return (pushed, mailed) == (1, 1)


NAMES = re.compile(r"LC-01|care_?need|long_?term_?care|care_?insurance|yokaigo|介護|\"023\"", re.IGNORECASE)


def test_nothing_but_its_folder_and_its_adapter_knows_the_care_procedure() -> None:
    sources = [
        path
        for package in ("shared", "gateway", "services/*", "deploy/onebox", "deploy/sandbox")
        for path in ROOT.glob(f"{package}/src/**/*")
        if path.suffix in {".py", ".yaml", ".json", ".html", ".js"}
        and not path.is_relative_to(next(ROOT.glob(f"services/procedures/src/*/catalogue/{FOLDER}")))
        and not path.is_relative_to(next(ROOT.glob(f"services/standardization/src/*/adapters/{ADAPTER}")))
    ]
    assert len(sources) > 200
    named = {
        str(path.relative_to(ROOT)): found
        for path in sources
        if (found := set(NAMES.findall(path.read_text("utf-8", errors="replace"))))
    }
    assert named == {}
