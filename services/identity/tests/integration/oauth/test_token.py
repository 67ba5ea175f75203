"""The token endpoint by its standards: who a client is, what it may ask for, and no assertion twice."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from town_identity.keys import rotate
from town_kit.auth import Role, TokenVerifier
from town_kit.auth.jose import generate_signing_key, parse_jwks, sign, sign_with_secret
from town_kit.ids import new_id
from town_kit.problems import InvalidToken

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ISSUER = "https://identity.town.test"
LINKAGE_CLIENT = "CoreSystem027" + "0" * 19
LINKAGE_SECRET = b"s" * 48
PROCEDURES = "service:procedures"


def claims(api: Any, client_id: str, **changes: Any) -> dict[str, Any]:
    now = int(api.clock.now().timestamp())
    body = {
        "iss": client_id, "sub": client_id, "aud": ISSUER, "jti": str(new_id()), "iat": now, "exp": now + 60,
    }  # fmt: skip
    return {**body, **changes}


def form(assertion: str, **changes: str) -> dict[str, str]:
    body = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": assertion}
    return {**body, **changes}


def service_form(api: Any, **changes: Any) -> dict[str, str]:
    return form(sign(claims(api, PROCEDURES, **changes), api.procedures_key, typ="JWT"))


async def ask(api: Any, body: dict[str, str]) -> Any:
    return await api.client.post("/v1/oauth/token", data=body)


async def test_a_service_proves_itself_with_its_key(api: Any) -> None:
    answer = await ask(api, service_form(api))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    principal = await api.service.verifier.verify(answer.json()["access_token"])
    assert (principal.role, principal.client_id) == (Role.SERVICE, PROCEDURES)
    assert principal.may("signature-verifications:create")


async def test_a_core_system_proves_itself_with_its_secret(api: Any) -> None:
    assertion = sign_with_secret(claims(api, LINKAGE_CLIENT), LINKAGE_SECRET, typ="JWT")
    scope = "027:child_allowance_applications:Read"
    answer = await ask(api, form(assertion, scope=scope))
    assert (answer.status_code, answer.json()["scope"]) == (200, scope)
    assert "refresh_token" not in answer.json()


async def test_an_assertion_is_good_once(api: Any) -> None:
    body = service_form(api)
    assert (await ask(api, body)).status_code == 200
    again = await ask(api, body)
    assert (again.status_code, again.json()) == (401, {"error": "invalid_client"})


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.test"},
        {"sub": "service:gateway"},
        {"exp": 0},
        {"exp": 9_999_999_999},
        {"jti": ""},
        {"jti": "a\x00b"},
        {"iss": "service:unknown", "sub": "service:unknown"},
    ],
)
async def test_a_wrong_assertion_is_refused(api: Any, changes: dict[str, Any]) -> None:
    answer = await ask(api, service_form(api, **changes))
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


async def test_another_key_is_refused(api: Any) -> None:
    body = form(sign(claims(api, PROCEDURES), generate_signing_key(), typ="JWT"))
    assert (await ask(api, body)).json() == {"error": "invalid_client"}


@pytest.mark.case("D-20")
async def test_a_public_key_is_never_taken_for_a_secret(api: Any) -> None:
    pem = str(api.procedures_key.public.as_jwk()).encode()
    body = form(sign_with_secret(claims(api, PROCEDURES), pem.ljust(64), typ="JWT"))
    assert (await ask(api, body)).json() == {"error": "invalid_client"}


async def test_a_scope_beyond_the_clients_is_refused(api: Any) -> None:
    answer = await ask(api, {**service_form(api), "scope": "number-links:import"})
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_scope"})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, "invalid_grant"),
        ({"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}, "invalid_client"),
    ],
)
async def test_what_is_not_offered_is_refused_in_the_form_of_the_standard(
    api: Any, body: dict[str, str], error: str
) -> None:
    assert (await ask(api, body)).json() == {"error": error}


async def test_a_field_named_twice_is_refused(api: Any) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    raw = "grant_type=client_credentials&grant_type=refresh_token"
    answer = await api.client.post("/v1/oauth/token", content=raw, headers=headers)
    assert answer.json() == {"error": "invalid_request"}


async def test_introspection_tells_a_live_token_from_an_ended_one(api: Any) -> None:
    session = await api.log_in(api.card())
    headers = api.headers(Role.SERVICE, "tokens:introspect")
    token = {"token": session["access_token"]}
    live = await api.client.post("/v1/oauth/introspect", data=token, headers=headers)
    assert (live.json()["active"], live.json()["sub"]) == (True, session["person_id"])
    hers = api.bearer(session["access_token"])
    await api.client.delete(f"/v1/devices/{session['session_id']}", headers=hers)
    ended = await api.client.post("/v1/oauth/introspect", data=token, headers=headers)
    assert ended.json() == {"active": False}
    nonsense = await api.client.post("/v1/oauth/introspect", data={"token": "a.b.c"}, headers=headers)
    assert nonsense.json() == {"active": False}


async def test_introspection_takes_a_clients_assertion_and_nobody_else(api: Any) -> None:
    body = {**service_form(api), "token": "a.b.c"}
    assert (await api.client.post("/v1/oauth/introspect", data=body)).json() == {"active": False}
    anonymous = await api.client.post("/v1/oauth/introspect", data={"token": "a.b.c"})
    assert anonymous.status_code == 401
    resident = api.headers(Role.RESIDENT, "tokens:introspect")
    assert (await api.client.post("/v1/oauth/introspect", data={"token": "a"}, headers=resident)).status_code == 401


async def test_the_published_keys_check_tokens_before_and_after_a_rotation(api: Any) -> None:
    old = (await ask(api, service_form(api))).json()["access_token"]
    before = parse_jwks((await api.client.get("/.well-known/jwks.json")).json())
    announced = set(before) - {api.service.extras["ports"].tokens.ring.active.kid}
    ring = rotate(api.key_ring)
    assert {ring.active.kid} == announced
    assert set(before) <= set(ring.public)

    class Published:
        async def fetch(self) -> Any:
            return ring.public

    verifier = TokenVerifier(issuer=ISSUER, source=Published(), clock=api.clock)
    assert (await verifier.verify(old)).client_id == PROCEDURES
    rotate(api.key_ring)
    assert set(before) - announced - set(rotate(api.key_ring).public)


async def test_the_metadata_names_what_is_offered(api: Any) -> None:
    metadata = (await api.client.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == ISSUER
    assert metadata["token_endpoint_auth_methods_supported"] == ["private_key_jwt", "client_secret_jwt"]


@pytest.mark.case("D-20")
@pytest.mark.parametrize("spoil", ["none", "HS256", "RS256", "expired", "audience", "type"])
async def test_a_token_that_is_not_ours_opens_nothing(api: Any, spoil: str) -> None:
    session = await api.log_in(api.card())
    _, payload, signature = session["access_token"].split(".")
    tokens = api.service.extras["ports"].tokens
    now = int(api.clock.now().timestamp())
    body = {
        "iss": ISSUER, "sub": session["person_id"], "aud": "town", "client_id": "x", "role": "resident",
        "scope": "persons:read", "iat": now, "exp": now + 60, "jti": "1",
    }  # fmt: skip

    def headed(**members: str) -> str:
        raw = json.dumps({"typ": "at+jwt", "kid": tokens.ring.active.kid, **members}).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    wrong = {
        "none": f"{headed(alg='none')}.{payload}.",
        "HS256": sign_with_secret(body, json.dumps(tokens.ring.active.public.as_jwk()).encode(), typ="at+jwt"),
        "RS256": f"{headed(alg='RS256')}.{payload}.{signature}",
        "expired": sign({**body, "exp": now - 60}, tokens.ring.active, typ="at+jwt"),
        "audience": sign({**body, "aud": "other"}, tokens.ring.active, typ="at+jwt"),
        "type": sign(body, tokens.ring.active, typ="dpop+jwt"),
    }[spoil]
    answer = await api.client.get(f"/v1/persons/{session['person_id']}", headers=api.bearer(wrong))
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:town:problem:invalid-token")
    good = sign(body, tokens.ring.active, typ="at+jwt")
    assert (await api.client.get(f"/v1/persons/{session['person_id']}", headers=api.bearer(good))).status_code == 200
    with pytest.raises(InvalidToken):
        await api.service.verifier.verify(wrong)


async def test_a_client_file_with_a_scope_it_may_not_hold_stops_the_start(serve: Any, tmp_path: Path) -> None:
    file = tmp_path / "greedy.yaml"
    file.write_text(
        "clients: [{client_id: " + LINKAGE_CLIENT + ", role: vendor, method: client_secret_jwt, "
        "secret: " + "x" * 40 + ", scopes: ['applications:decide']}]"
    )
    with pytest.raises(ValueError, match="may not hold"):
        await serve(clients=file)
