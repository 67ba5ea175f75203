"""The authorisation matrix: every route of every service × every kind of caller, generated from the declarations.

A route without a declaration fails here, so none can be forgotten.
"""

import asyncio
import base64
import inspect
import json
import re
import socket
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi.routing import APIRoute
from tests.contract.matrix import declared

from town_kit.auth import Role
from town_kit.auth.jose import generate_signing_key
from town_kit.ids import new_id
from town_kit.routing import UNSAFE, Policy
from town_kit.settings import Zone
from town_onebox.registry import ENTRIES

SERVING = [entry.name for entry in ENTRIES]


def routes(app: Any) -> list[tuple[APIRoute, Policy]]:
    found, wrong = declared(app.router.routes)
    assert wrong == []
    return found


def scopes_of(composed: Any, role: Role) -> str:
    """Every scope some route asks of the role: an app's route may ask several services in the caller's name."""
    declared = (policy for app in composed.apps.values() for _, policy in routes(app))
    return " ".join(sorted({p.scope for p in declared if p.scope is not None and role in p.roles}))


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]*\}", lambda _: str(new_id()), path)


async def ask(composed: Any, service: str, route: APIRoute, policy: Policy, headers: dict[str, str]) -> Any:
    method = next(iter(route.methods or {"GET"}))
    sent = {"Idempotency-Key": str(new_id()), "If-Match": '"1"', **headers}
    content: bytes | None = None
    if method in UNSAFE:
        media = next(iter(sorted(policy.upload)), "application/json")
        sent["Content-Type"] = media
        content = b"{}"
    async with composed.client(service) as client:
        return await client.request(method, concrete(route.path_format), headers=sent, content=content)


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.asvs("8.2.1")
async def test_no_protected_route_answers_without_a_token(composed: Any, service: str) -> None:
    for route, policy in routes(composed.apps[service]):
        if policy.scope is None:
            continue
        answer = await ask(composed, service, route, policy, {})
        assert answer.status_code == 401, route.path


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.asvs("8.2.2")
async def test_no_route_answers_a_caller_without_its_scope(composed: Any, service: str) -> None:
    for route, policy in routes(composed.apps[service]):
        if policy.scope is None:
            continue
        for role in Role:
            token = composed.issuer.token(role, "something:else", amr=("pwd", "otp"))
            answer = await ask(composed, service, route, policy, {"Authorization": f"Bearer {token}"})
            assert answer.status_code == 403, (route.path, role, answer.text)


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.asvs("8.2.3")
async def test_a_scope_in_the_hand_of_another_role_opens_nothing(composed: Any, service: str) -> None:
    for route, policy in routes(composed.apps[service]):
        if policy.scope is None:
            continue
        for role in set(Role) - policy.roles:
            token = composed.issuer.token(role, policy.scope, amr=("pwd", "otp"))
            answer = await ask(composed, service, route, policy, {"Authorization": f"Bearer {token}"})
            assert answer.status_code == 403, (route.path, role, answer.text)


VAULT = [entry.name for entry in ENTRIES if entry.zone is Zone.MY_NUMBER]


@pytest.mark.parametrize("service", VAULT)
@pytest.mark.case("D-19")
async def test_a_service_of_another_zone_has_no_way_into_my_number(composed: Any, service: str) -> None:
    for route, policy in routes(composed.apps[service]):
        if policy.scope is None or policy.official:
            continue
        token = composed.issuer.token(Role.SERVICE, policy.scope)
        answer = await ask(composed, service, route, policy, {"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:town:problem:zone-violation"), route.path


@pytest.mark.parametrize("service", VAULT)
async def test_staff_reach_my_number_with_two_factors_only(composed: Any, service: str) -> None:
    """特定個人情報の取扱い: the factors stand in the token, and the service itself looks."""
    asked = [(route, policy) for route, policy in routes(composed.apps[service]) if Role.STAFF in policy.roles]
    assert asked
    for route, policy in asked:
        token = composed.issuer.token(Role.STAFF, policy.scope or "", amr=("pwd",))
        answer = await ask(composed, service, route, policy, {"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:town:problem:insufficient-scope"), route.path


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-18")
async def test_the_right_caller_is_let_in_and_finds_nothing_of_somebody_else(composed: Any, service: str) -> None:
    for route, policy in routes(composed.apps[service]):
        if policy.scope is None:
            continue
        for role in policy.roles:
            token = composed.issuer.token(role, scopes_of(composed, role), amr=("pwd", "otp"))
            answer = await ask(composed, service, route, policy, {"Authorization": f"Bearer {token}"})
            assert answer.status_code not in {401, 403}, (route.path, role, answer.text)
            assert answer.status_code < 500 or answer.status_code == 503, (route.path, role, answer.text)
            if "{" in route.path_format and answer.status_code < 300:
                pytest.fail(f"{route.path} answered {role} for an id that does not exist")


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-20")
async def test_a_forged_token_opens_nothing(composed: Any, service: str) -> None:
    good = composed.issuer.token(Role.STAFF, "applications:read")
    head, body, _ = good.split(".")
    forged = (
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + body + ".",
        f"{head}.{body}.AAAA",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ." + body + ".AAAA",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ." + body + ".AAAA",
    )
    protected = [(r, p) for r, p in routes(composed.apps[service]) if p.scope is not None][:3]
    for token in forged:
        for route, policy in protected:
            answer = await ask(composed, service, route, policy, {"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401, route.path
            assert answer.json()["type"] == "urn:town:problem:invalid-token"


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-21")
async def test_a_header_that_points_elsewhere_opens_no_connection_and_no_statement(
    composed: Any, service: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, asked = composed.issuer.key, []
    stranger = generate_signing_key()
    evil = "http://127.0.0.1:9/jwks.json"
    headers: list[dict[str, Any]] = [
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1--"},
        {"kid": evil},
        {"kid": stranger.kid, "jku": evil},
        {"kid": ours.kid, "jku": evil},
        {"kid": ours.kid, "x5u": evil},
        {"kid": stranger.kid, "jwk": stranger.public.as_jwk()},
    ]
    protected = next(((r, p) for r, p in routes(composed.apps[service]) if p.scope is not None), None)
    if protected is None:
        pytest.skip(f"{service} has no protected route of its own")
    await ask(composed, service, *protected, {"Authorization": f"Bearer {composed.issuer.token(Role.STAFF, 'x:y')}"})
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_connection", lambda *a, **k: asked.append(a))
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    body = composed.issuer.token(Role.STAFF, "applications:read").split(".")[1]
    capfd.readouterr()
    for header in headers:
        head = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "typ": "at+jwt"} | header).encode()).rstrip(b"=")
        signed = head + b"." + body.encode()
        der = stranger._key.private_key.sign(signed, ECDSA(SHA256()))
        raw = b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(der))
        token = (signed + b"." + base64.urlsafe_b64encode(raw).rstrip(b"=")).decode()
        answer = await ask(composed, service, *protected, {"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, header
        assert answer.json()["type"] == "urn:town:problem:invalid-token"
    assert asked == []
    logged = "".join(capfd.readouterr()).lower()
    assert not [word for word in ("sql", "syntax", "dbapi", "or 1=1", "dev/null", evil) if word in logged]


@pytest.mark.parametrize("service", SERVING)
def test_every_route_names_its_rules(composed: Any, service: str) -> None:
    for route, policy in routes(composed.apps[service]):
        method = next(iter(route.methods or {"GET"}))
        assert route.endpoint.__doc__, f"{route.path} says nothing"
        if method in UNSAFE and policy.official is None and policy.keyless is None:
            assert policy.idempotent, route.path
        if policy.idempotent and policy.scope is not None:
            assert policy.audit is not None, f"{route.path} leaves no audit record"


@pytest.mark.parametrize("service", SERVING)
def test_no_dependency_runs_in_the_thread_pool(composed: Any, service: str) -> None:
    """A dependency that is not a coroutine costs a thread's round trip in every request."""
    for route, _ in routes(composed.apps[service]):
        waiting = list(route.dependant.dependencies)
        while waiting:
            dependency = waiting.pop()
            waiting += dependency.dependencies
            call = dependency.call
            assert inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call), (route.path, call)
