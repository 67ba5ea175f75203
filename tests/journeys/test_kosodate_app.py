"""A family's app: what a resident filed stands there in plain words, and nobody else sees it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from town_gateway.main import create_gateway
from town_kit import http
from town_kit.auth import Role
from town_kit.ids import new_id
from town_onebox.assembly import Process
from town_procedures import catalogue

APP = "/apps/kosodate/v1"
SCOPES = "applications:read applications:submit messages:read"
SAMPLE = Path(catalogue.__file__).parent / "care_need_certification" / "samples" / "valid.json"


@pytest.fixture
async def gateway(composed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway with the real services behind it."""
    for name, app in composed.apps.items():
        http.register_app(name, app)
    app = create_gateway(composed.town.service("gateway", Process.WEB))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://town") as client:
        yield client


async def file_application(gateway: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, Any]:
    body = {"procedure_code": "LC-01", "answers": json.loads(SAMPLE.read_text("utf-8"))["answers"]}
    answer = await gateway.post("/procedures/v1/applications", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    filed: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/procedures/v1/applications/{filed['id']}"
    return filed


async def test_my_application_says_where_it_stands_what_comes_next_and_when(
    composed: Any, gateway: httpx.AsyncClient
) -> None:
    headers = dict(composed.issuer.headers(Role.RESIDENT, SCOPES, subject=new_id()))
    filed = await file_application(gateway, headers)

    page = (await gateway.get(f"{APP}/applications", headers=headers)).json()
    story = (await gateway.get(f"{APP}/applications/{filed['id']}", headers=headers)).json()
    inbox = (await gateway.get(f"{APP}/inbox", headers=headers)).json()

    (mine,) = page["items"]
    assert mine == story["application"]
    assert mine["reference"] == filed["reference"]
    assert mine["title"] != "LC-01"
    assert mine["next_step"]
    assert mine["expected_label"].startswith("令和")
    assert [step["label"] for step in story["timeline"]] == [mine["label"]]
    assert [UUID(entry["application_id"]) for entry in inbox] == [UUID(filed["id"])]


@pytest.mark.case("D-18")
async def test_somebody_elses_application_is_not_there(composed: Any, gateway: httpx.AsyncClient) -> None:
    mine = dict(composed.issuer.headers(Role.RESIDENT, SCOPES, subject=new_id()))
    other = dict(composed.issuer.headers(Role.RESIDENT, SCOPES, subject=new_id()))
    filed = await file_application(gateway, mine)

    answer = await gateway.get(f"{APP}/applications/{filed['id']}", headers=other)
    page = (await gateway.get(f"{APP}/applications", headers=other)).json()

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:town:problem:not-found"
    assert page == {"items": [], "next_cursor": None}


async def test_the_app_gives_a_refusal_of_a_service_on_as_it_is(composed: Any, gateway: httpx.AsyncClient) -> None:
    headers = dict(composed.issuer.headers(Role.RESIDENT, SCOPES, subject=new_id()))

    wrong = await gateway.get(f"{APP}/applications?cursor=nonsense", headers=headers)
    no_scope = await gateway.get(
        f"{APP}/inbox", headers=dict(composed.issuer.headers(Role.RESIDENT, "applications:read"))
    )
    challenge = await gateway.post(f"{APP}/login-challenges", json={"client_id": "nobody's app"})

    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:town:problem:validation-failed")
    assert (no_scope.status_code, no_scope.json()["type"]) == (403, "urn:town:problem:insufficient-scope")
    assert (challenge.status_code, challenge.json()["type"]) == (422, "urn:town:problem:validation-failed")


async def test_signing_in_begins_with_a_challenge_for_the_card(composed: Any, gateway: httpx.AsyncClient) -> None:
    answer = await gateway.post(f"{APP}/login-challenges", json={"client_id": "resident-app"})

    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"challenge_id", "to_be_signed", "expires_at"}
