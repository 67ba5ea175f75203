"""How a test files an application in the running town, and sees that its applicant was told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import httpx

from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.testing import RunningTown

APPLICATIONS = "/procedures/v1/applications"
PATIENCE = 60.0


@asynccontextmanager
async def asking(town: RunningTown) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=town.town.public_url, timeout=20, trust_env=False) as client:
        yield client


def application() -> dict[str, Any]:
    sample = resources.files("town_procedures.catalogue").joinpath("care_need_certification/samples/valid.json")
    return {"procedure_code": "LC-01", "answers": json.loads(sample.read_text("utf-8"))["answers"]}


async def apply(client: httpx.AsyncClient, resident: people.SignedIn) -> Any:
    return people.told(await client.post(APPLICATIONS, json=application(), headers=resident.headers))


async def read(client: httpx.AsyncClient, who: people.SignedIn, filed: Any) -> Any:
    return people.told(await client.get(f"{APPLICATIONS}/{filed['id']}", headers=who.headers))


async def is_told(client: httpx.AsyncClient, resident: people.SignedIn, filed: Any) -> bool:
    page = people.told(await client.get("/notifications/v1/messages", headers=resident.headers))
    return any(message["application_id"] == filed["id"] for message in page["items"])


async def eventually_told(client: httpx.AsyncClient, resident: people.SignedIn, filed: Any) -> None:
    await eventually(lambda: is_told(client, resident, filed), within=PATIENCE)
