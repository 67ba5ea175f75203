"""Which path leads where, and what the outside never reaches."""

import pytest

from town_gateway.routes import ROUTES, RouteTable
from town_kit.settings import Zone

TABLE = RouteTable()


def test_the_first_segment_names_the_service() -> None:
    match = TABLE.match("/procedures/v1/applications/1")

    assert match is not None
    assert (match.route.service, match.path) == ("procedures", "/v1/applications/1")


@pytest.mark.parametrize(
    "path", ["/", "/openapi.json", "/apps/kosodate/v1/inbox", "/webhooks/mynaportal", "/procedures"]
)
def test_other_paths_belong_to_the_gateway_itself(path: str) -> None:
    assert TABLE.match(path) is None


def test_no_path_leads_into_the_my_number_zone() -> None:
    assert all(route.zone is not Zone.MY_NUMBER for route in ROUTES)
    assert TABLE.match("/standardization/v1/data-linkage/027/records") is None


@pytest.mark.parametrize(
    "path",
    [
        "/procedures/v1/intake",
        "/procedures/v1/raw-packages/0190a0a0-0000-7000-8000-000000000001",
        "/procedures/v1/applications/0190a0a0-0000-7000-8000-000000000001/hand-over",
        "/identity/v1/signature-verifications",
        "/identity/v1/serial-status-checks",
        "/identity/v1/oauth/introspect",
        "/procedures/readyz",
        "/procedures/openapi.json",
    ],
)
def test_what_only_services_call_is_not_reachable_from_outside(path: str) -> None:
    match = TABLE.match(path)

    assert match is not None
    assert not match.route.reachable(match.path)


def test_a_pattern_stands_for_one_segment_only() -> None:
    procedures = TABLE.routes["procedures"]

    assert procedures.is_public("GET", "/v1/procedures/CH-01")
    assert not procedures.is_public("GET", "/v1/procedures/CH-01/drafts")
    assert not procedures.is_public("POST", "/v1/procedures")
    assert procedures.reachable("/v1/applications/1/timeline")


def test_sign_in_is_public_and_has_a_limit_of_its_own() -> None:
    identity = TABLE.routes["identity"]

    assert identity.is_public("POST", "/v1/oauth/token")
    assert identity.is_sign_in("POST", "/v1/oauth/token")
    assert not identity.is_sign_in("GET", "/.well-known/jwks.json")
