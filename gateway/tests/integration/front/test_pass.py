"""The path of one request through the gateway: route, token, limit, forward; and what is refused at the edge."""

from ipaddress import ip_network
from typing import Any

import pytest

from town_gateway.rate_limit import Limit
from town_kit.asgi import Scope
from town_kit.auth import Role
from town_kit.ids import new_id
from town_kit.testing.auth import Issuer


def seen(asked: list[Scope]) -> dict[bytes, bytes]:
    return dict(asked[-1]["headers"])


async def test_a_request_with_a_token_reaches_its_service_under_the_services_own_path(
    gateway: Any, issuer: Issuer, asked: list[Scope]
) -> None:
    headers = issuer.headers(Role.RESIDENT, "applications:submit")
    answer = await gateway.post("/procedures/v1/applications?a=1", json={"answers": {}}, headers=headers)

    assert answer.status_code == 201
    assert answer.json() == {"answers": {}}
    assert (asked[-1]["path"], asked[-1]["query_string"]) == ("/v1/applications", b"a=1")
    assert seen(asked)[b"idempotency-key"] == headers["Idempotency-Key"].encode()
    assert answer.headers["location"] == "/procedures/v1/things/1"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_without_a_valid_token_nothing_but_a_public_route_is_reached(
    gateway: Any, issuer: Issuer, asked: list[Scope]
) -> None:
    bad = {"Authorization": "Bearer " + issuer.token(Role.RESIDENT, "x", iss="https://elsewhere")}

    for headers in ({}, bad, {"Authorization": "Basic eDp5"}):
        answer = await gateway.get("/procedures/v1/applications", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:town:problem:invalid-token"
    assert asked == []
    for headers in ({}, bad):
        assert (await gateway.get("/procedures/v1/procedures/CH-01", headers=headers)).status_code == 201
    assert (await gateway.post("/identity/v1/oauth/token", headers={"Authorization": "Basic eDp5"})).status_code == 201


async def test_a_token_meant_for_others_does_not_open_what_only_services_call(
    gateway: Any, issuer: Issuer, asked: list[Scope]
) -> None:
    headers = issuer.headers(Role.SERVICE, "applications:intake")

    for path in ("/procedures/v1/intake", "/procedures/v1/%69ntake", "/procedures/openapi.json", "/procedures/livez"):
        assert (await gateway.post(path, headers=headers)).status_code == 404
    assert asked == []


@pytest.mark.case("D-11")
async def test_who_called_is_told_by_the_gateway_and_not_by_the_client(
    gateway: Any, issuer: Issuer, asked: list[Scope]
) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Client-Cert": "forged"}
    await gateway.get("/procedures/v1/applications", headers={**issuer.headers(Role.STAFF, "x"), **forged})

    headers = seen(asked)
    assert headers[b"x-forwarded-for"] == b"127.0.0.1"
    assert headers[b"forwarded"].startswith(b"for=127.0.0.1;proto=http")
    assert b"x-client-cert" not in headers


async def test_a_trusted_proxy_is_believed_for_the_last_hop_it_names(
    started: Any, gateway_settings: Any, issuer: Issuer, asked: list[Scope]
) -> None:
    settings = gateway_settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    async with started(settings) as gateway:
        headers = {**issuer.headers(Role.STAFF, "x"), "X-Forwarded-For": "203.0.113.9, 198.51.100.7, 127.0.0.2"}
        await gateway.get("/procedures/v1/applications", headers=headers)

    assert seen(asked)[b"x-forwarded-for"] == b"198.51.100.7"


async def test_the_trace_goes_on_and_the_request_has_one_id(gateway: Any, asked: list[Scope]) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await gateway.get(
        "/procedures/v1/procedures", headers={"traceparent": trace, "X-Request-Id": "client-0001"}
    )

    assert seen(asked)[b"traceparent"] == trace.encode()
    assert seen(asked)[b"x-request-id"] == b"client-0001"
    assert answer.headers.get_list("x-request-id") == ["client-0001"]

    answer = await gateway.get("/procedures/v1/procedures", headers={"traceparent": "00-x", "X-Request-Id": "a b"})
    assert seen(asked)[b"traceparent"].startswith(b"00-")
    assert answer.headers["x-request-id"].encode() == seen(asked)[b"traceparent"][3:35]


@pytest.mark.case("D-38")
async def test_a_my_number_is_no_request_id(gateway: Any, asked: list[Scope]) -> None:
    answer = await gateway.get("/procedures/v1/procedures", headers={"X-Request-Id": "id-1234-5678-9018"})

    assert "9018" not in answer.headers["x-request-id"]
    assert seen(asked)[b"x-request-id"] == answer.headers["x-request-id"].encode()


@pytest.mark.case("D-26")
async def test_who_asks_too_often_is_told_when_to_come_again_and_others_are_not_affected(
    started: Any, gateway_settings: Any, issuer: Issuer
) -> None:
    settings = gateway_settings.model_copy(update={"rate_limits": {"vendor": Limit(quota=3, window=3600)}})
    flood = issuer.headers(Role.VENDOR, "x", subject=new_id(), client_id="flood")
    other = issuer.headers(Role.VENDOR, "x", subject=new_id(), client_id="other")
    async with started(settings) as gateway:
        answers = [await gateway.get("/procedures/v1/applications", headers=flood) for _ in range(4)]
        calm = await gateway.get("/procedures/v1/applications", headers=other)

    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert answers[0].headers["ratelimit-policy"] == '"vendor";q=3;w=3600'
    assert answers[0].headers["ratelimit"].startswith('"vendor";r=2;t=')
    assert answers[3].json()["type"] == "urn:town:problem:rate-limited"
    assert int(answers[3].headers["retry-after"]) > 0
    assert calm.status_code == 201


@pytest.mark.runbook("identity")
@pytest.mark.runbook("procedures")
async def test_a_service_that_is_away_does_not_take_the_gateway_with_it(
    started: Any, gateway_settings: Any, issuer: Issuer
) -> None:
    addresses = {**gateway_settings.addresses, "procedures": "http://127.0.0.1:9"}
    async with started(gateway_settings.model_copy(update={"addresses": addresses})) as gateway:
        away = await gateway.get("/procedures/v1/applications", headers=issuer.headers(Role.STAFF, "x"))
        there = await gateway.get("/notifications/v1/messages", headers=issuer.headers(Role.STAFF, "x"))

    assert away.status_code == 503
    assert away.json()["type"] == "urn:town:problem:dependency-unavailable"
    assert int(away.headers["retry-after"]) > 0
    assert there.status_code == 201


@pytest.mark.case("D-26")
async def test_guessing_tokens_uses_up_the_share_of_the_address(
    started: Any, gateway_settings: Any, issuer: Issuer, asked: list[Scope]
) -> None:
    limits = {"anonymous": Limit(quota=1000, window=86_400)}
    async with started(gateway_settings.model_copy(update={"rate_limits": limits})) as gateway:
        first = await gateway.get("/procedures/v1/applications", headers={"Authorization": "Bearer guess"})
        second = await gateway.get("/procedures/v1/intake", headers={"Authorization": "Bearer guess"})

    assert (first.status_code, second.status_code, asked) == (401, 404, [])
    left = [int(answer.headers["ratelimit"].split("r=")[1].split(";")[0]) for answer in (first, second)]
    assert left[1] == left[0] - 1
