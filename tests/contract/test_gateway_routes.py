"""The gateway's table against what the services themselves declare: nothing hidden is open, nothing open is hidden."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from town_gateway.main import create_gateway
from town_gateway.openapi_merge import public_operations
from town_gateway.routes import ROUTES, Operation, Route
from town_kit import http
from town_kit.openapi import describe
from town_kit.settings import Zone
from town_onebox.assembly import Process
from town_onebox.registry import ENTRIES

BY_NAME = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.service)


@pytest.fixture
async def gateway(composed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway with the real services behind it."""
    for name, app in composed.apps.items():
        http.register_app(name, app)
    app = create_gateway(composed.town.service("gateway", Process.WEB))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://town") as client:
        yield client


def operations(document: dict[str, Any]) -> list[tuple[Operation, dict[str, Any]]]:
    return [(Operation(m.upper(), p), o) for p, item in document["paths"].items() for m, o in item.items()]


@BY_NAME
def test_the_table_opens_exactly_what_a_service_declares_public(composed: Any, route: Route) -> None:
    document = describe(composed.apps[route.service])
    declared = {operation for operation in public_operations(document) if route.reachable(operation.path)}
    opened = {operation for operation, _ in operations(document) if route.is_public(*operation)}

    assert opened == declared
    assert {*route.public, *route.sign_in} - {Operation("GET", "/v1/procedures/{code}")} <= opened


@BY_NAME
def test_what_only_services_call_cannot_be_reached_from_outside(composed: Any, route: Route) -> None:
    for operation, declared in operations(describe(composed.apps[route.service])):
        if declared.get("x-roles") == ["service"]:
            assert not route.reachable(operation.path), operation


@BY_NAME
def test_the_emergency_lane_holds_the_routes_of_the_emergency_scope_and_no_other(composed: Any, route: Route) -> None:
    for operation, declared in operations(describe(composed.apps[route.service])):
        is_emergency = declared.get("x-scope") == "emergency-messages:send"
        assert route.is_emergency(*operation) == is_emergency, operation


def test_every_service_of_the_outer_zones_that_answers_has_a_row(composed: Any) -> None:
    serving = {entry.name for entry in ENTRIES if entry.serves and entry.zone is not Zone.MY_NUMBER}

    assert {route.service for route in ROUTES} == serving - {"gateway"}


@pytest.mark.parametrize(
    ("app_path", "path"), [("login-challenges", "/v1/login-challenges"), ("sessions", "/v1/resident-sessions")]
)
def test_an_app_is_told_of_what_is_passed_on_as_identity_tells_it(composed: Any, app_path: str, path: str) -> None:
    described, theirs = describe(composed.apps["gateway"]), describe(composed.apps["identity"])

    for members in (body_members, answer_members):
        assert members(described, f"/apps/kosodate/v1/{app_path}") == members(theirs, path)


def body_members(document: dict[str, Any], path: str) -> tuple[set[str], set[str]]:
    return members_of(document, document["paths"][path]["post"]["requestBody"])


def answer_members(document: dict[str, Any], path: str) -> tuple[set[str], set[str]]:
    return members_of(document, document["paths"][path]["post"]["responses"]["201"])


def members_of(document: dict[str, Any], part: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Names of all members, and of those that must be there."""
    schema = part["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set(schema["properties"]), set(schema.get("required", ()))


async def test_all_services_stand_in_one_valid_description(gateway: httpx.AsyncClient) -> None:
    document = (await gateway.get("/openapi.json")).json()

    OpenAPIV31SpecValidator(document).validate()
    assert "x-unavailable" not in document
    assert {"/procedures/v1/applications", "/identity/v1/oauth/token", "/notifications/v1/messages"} <= set(
        document["paths"]
    )
    assert not [
        path for path in document["paths"] if path.endswith(("/intake", "/hand-over", "/sealed-texts", "/introspect"))
    ]


async def test_a_described_path_is_a_path_that_answers(composed: Any, gateway: httpx.AsyncClient) -> None:
    document = (await gateway.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        if path.startswith(("/webhooks", "/apps")) or "get" not in item:
            continue
        answer = await gateway.get(path.replace("{", "").replace("}", ""))
        assert answer.status_code in {200, 401, 404, 422}, path
        if item["get"].get("security"):
            assert answer.status_code == 401, path
        assert answer.headers["ratelimit"], path
