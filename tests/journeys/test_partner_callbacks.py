"""A partner's system hears of what was filed through its app, signed and once; of nothing else, and of no person."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.testing import RunningTown
from town_procedures import catalogue

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]

SAMPLE = Path(catalogue.__file__).parent / "care_need_certification" / "samples" / "valid.json"
PATIENCE = 30.0


async def file_application(client: httpx.AsyncClient, own: people.SignedIn) -> Any:
    body = {"procedure_code": "LC-01", "answers": json.loads(SAMPLE.read_text("utf-8"))["answers"]}
    return people.told(await client.post("/procedures/v1/applications", json=body, headers=own.headers))


async def move(client: httpx.AsyncClient, clerk: people.SignedIn, seen: Any, verb: str, body: Any = None) -> Any:
    headers = {**clerk.headers, "If-Match": f'"{seen["version"]}"'}
    path = f"/procedures/v1/applications/{seen['id']}/{verb}"
    return people.told(await client.post(path, json=body, headers=headers))


async def test_a_partner_hears_how_its_residents_application_goes_on(running_town: RunningTown) -> None:
    partner = running_town.town.sandbox_addresses()["partner"]
    async with httpx.AsyncClient(base_url=running_town.town.public_url, timeout=20, trust_env=False) as client:
        people.told(await client.post(f"{partner}/_register"))
        clerk = await people.staff(client, "clerk")
        through_partner = await people.resident_by_partner(running_town.town, client, "taro")
        through_town = await people.resident(running_town.town, client, "taro")
        assert through_partner.person_id == through_town.person_id
        for kind in ("error", "redirect"):  # the first tries fail; the same id comes again after five seconds
            people.told(await client.post(f"{partner}/_faults", json={"kind": kind}))
        mine, other = await file_application(client, through_partner), await file_application(client, through_town)
        await move(client, clerk, other, "accept")
        seen = await move(client, clerk, mine, "accept")
        await move(client, clerk, seen, "decide", {"decision": "approved"})

        async def heard() -> Any:
            entries = [e for e in running_town.ledger("partner", "told") if e["data"]["application_id"] == mine["id"]]
            types = {entry["type"] for entry in entries}
            whole = {"application.submitted", "application.accepted", "application.approved"}
            return entries if types == whole else None

        told = await eventually(heard, within=PATIENCE)
        assert len({entry["message_id"] for entry in told}) == len(told) == 3
        assert [entry["repeated"] for entry in told] == [False] * 3
        failed = running_town.ledger("partner", "failed")
        assert {entry["fault"] for entry in failed} == {"error", "redirect"}
        assert {entry["message_id"] for entry in failed} <= {entry["message_id"] for entry in told}
        entries = (running_town.place.sandbox / "partner.jsonl").read_text(encoding="utf-8")
        assert other["id"] not in entries
        assert through_partner.person_id not in entries
        assert not running_town.ledger("partner", "lured")
        assert not running_town.ledger("partner", "refused")
