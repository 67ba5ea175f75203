"""D-11: whoever reaches a service's own listener past the gateway gains nothing by headers only the gateway may set."""

import socket
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.contract.test_authorisation_matrix import concrete, routes, scopes_of

from town_kit import http
from town_kit.ids import new_id
from town_kit.routing import Policy
from town_onebox.registry import ENTRIES
from town_onebox.serving import Listener, serving

SERVING = [entry.name for entry in ENTRIES if entry.serves]
SOMEBODY = "00000000-0000-4000-8000-00000000f00d"
FORGED = {
    "X-Client-Cert": f"Subject=CN={SOMEBODY}",
    "X-Forwarded-Client-Cert": f"By=gateway;Subject=CN={SOMEBODY}",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-User": SOMEBODY,
    "Forwarded": "for=203.0.113.9;by=gateway",
    "X-Real-IP": "203.0.113.9",
}
RECORDS = text("SELECT * FROM audit_records WHERE action = :action AND at >= now() - interval '5 minutes'")


def protected(composed: Any, service: str) -> list[tuple[str, str, Policy]]:
    """Method, path and declaration of the routes that keep a record of who asked."""
    return [
        (next(iter(route.methods or {"GET"})), concrete(route.path_format), policy)
        for route, policy in routes(composed.apps[service])
        if policy.scope is not None and policy.audit is not None and not policy.official
    ]


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-11")
async def test_forged_headers_open_nothing_and_name_nobody(composed: Any, service: str) -> None:
    for name, app in composed.apps.items():
        http.register_app(name, app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with (
            serving([Listener(composed.apps[service], [listening])]),
            httpx.AsyncClient(base_url=origin, headers=FORGED, trust_env=False, timeout=20) as direct,
        ):
            for method, path, policy in protected(composed, service):
                sent = {"Idempotency-Key": str(new_id()), "If-Match": '"1"'}
                refused = await direct.request(method, path, headers=sent)
                assert refused.status_code == 401, (method, path)
                assert refused.json()["type"] == "urn:town:problem:invalid-token"
                await _is_named_truly(composed, service, direct, method, path, policy)


async def _is_named_truly(
    composed: Any, service: str, direct: httpx.AsyncClient, method: str, path: str, policy: Policy
) -> None:
    """With a token of the right kind, the record names who stands in the token."""
    role, caller = sorted(policy.roles)[0], new_id()
    assert policy.audit is not None
    token = composed.issuer.token(role, scopes_of(composed, role), subject=caller, client_id="really", amr=("a", "b"))
    sent = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id()), "If-Match": '"1"'}
    answer = await direct.request(method, path, headers=sent)
    assert answer.status_code not in {401, 403}, (method, path, answer.text)
    async with composed.services[service].database.begin() as session:
        records = (await session.execute(RECORDS, {"action": policy.audit.action})).all()
    assert not [row for row in records if SOMEBODY in str(row) or "203.0.113.9" in str(row)]
    if answer.status_code < 500:
        assert [row.client_id for row in records if row.principal == caller] == ["really"], (method, path, role)
