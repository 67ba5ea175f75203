"""The matrix's other half: each route that names a thing × each of its roles × one's own thing and somebody else's.

Somebody else's thing must be answered as a thing that does not exist, to the letter; one's own must be there. Where the
caller chooses the id, what does not exist is made, so somebody else's is answered as any other thing that is not there.
"""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from tests.contract.matrix import BLOB, BODIES, FILES, PERSONAL, READY, STOPPED, Listed, listed
from tests.contract.rows import make

from town_kit import http
from town_kit.auth import Role
from town_kit.blobs import Recipient
from town_kit.ids import new_id
from town_kit.routing import UNSAFE
from town_onebox.registry import ENTRIES

SERVING = [entry.name for entry in ENTRIES if entry.serves]
VARIES = {"trace_id", "instance"}


@pytest.fixture(autouse=True)
def _reachable(composed: Any) -> None:
    for name, app in composed.apps.items():
        http.register_app(name, app)


def named(composed: Any, service: str) -> list[Listed]:
    """The routes of a service that name a thing."""
    found = listed(service, composed.apps[service].router.routes)[0]
    return [each for each in found if each.thing is not None and each.parameters]


def scopes_of(composed: Any, role: Role) -> str:
    """Every scope some route asks of the role: an app's route asks several services in the caller's name."""
    routes = (each for name, app in composed.apps.items() for each in listed(name, app.router.routes)[0])
    return " ".join(sorted({r.policy.scope for r in routes if r.policy.scope is not None and role in r.policy.roles}))


async def a_thing(composed: Any, each: Listed, owner: UUID) -> UUID:
    assert each.thing is not None
    service, thing = composed.services[each.thing.database], each.thing.with_values(READY.get(each.route.path_format))
    async with service.database.begin() as session:
        held = any(BLOB in values.values() for _, values in thing.rows)
        blob = await a_blob(session, service) if held else None
        return await make(session, thing, owner=owner, seal=partial(sealed, service), blob=blob)


async def a_blob(session: Any, service: Any) -> UUID:
    """Some bytes this service can read."""

    async def content() -> AsyncIterator[bytes]:
        yield b"PK"

    blobs = service.extras["ports"].blobs
    found: UUID = await blobs.write(
        session, content(), owner="raw-packages", media_type="application/zip", recipient=Recipient.SERVICE
    )
    return found


def sealed(service: Any, thing_id: UUID) -> bytes:
    """Something this service sealed for the thing, and can open."""
    ports = service.extras["ports"]
    sealer = getattr(ports, "callback_sealer", None) or ports.sealer
    found: bytes = sealer.seal(bytes(32), thing_id.bytes)
    return found


async def ask(composed: Any, each: Listed, role: Role, caller: UUID, *things: UUID) -> Any:
    token = composed.issuer.token(role, scopes_of(composed, role), subject=caller, amr=("pwd", "otp"))
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id()), "If-Match": '"1"'}
    body = BODIES.get(each.route.path_format) if each.method in UNSAFE else None
    sent: dict[str, Any] = {"json": body}
    if each.policy.upload:
        query, media_type, content = FILES[each.route.path_format]
        headers["Content-Type"] = media_type
        sent = {"params": query, "content": content}
    async with composed.client(each.service) as client:
        return await client.request(each.method, each.path(*things), headers=headers, **sent)


def shape(answer: Any) -> Mapping[str, Any]:
    return {
        "status": answer.status_code,
        "headers": sorted(name for name in answer.headers if name not in {"traceparent", "x-request-id"}),
        "body": {name: value for name, value in answer.json().items() if name not in VARIES},
    }


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-18")
@pytest.mark.asvs("8.2.2")
async def test_what_is_somebody_elses_is_answered_as_if_it_were_not_there(composed: Any, service: str) -> None:
    tried = 0
    for each in named(composed, service):
        for role in each.policy.roles & PERSONAL:
            theirs = await a_thing(composed, each, new_id())
            foreign = await ask(composed, each, role, new_id(), theirs)
            nowhere = await ask(composed, each, role, new_id(), new_id())
            assert foreign.status_code == 404, (each.method, each.route.path, role, foreign.text)
            if each.makes_what_is_not_there:
                assert nowhere.status_code == 201, (each.method, each.route.path, role, nowhere.text)
                assert foreign.json()["type"] == "urn:town:problem:not-found"
            else:
                assert shape(foreign) == shape(nowhere), (each.method, each.route.path, role)
            tried += 1
    print(f"{service}: {tried} cells with somebody else's thing")
    assert tried or service in {"standardization"}, "this service has things that belong to somebody"


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-18")
async def test_what_is_inside_somebody_elses_thing_is_not_reached_through_ones_own(composed: Any, service: str) -> None:
    """One's own callback and somebody else's delivery, and the reverse."""
    tried = 0
    for each in named(composed, service):
        for role in each.policy.roles & PERSONAL if each.parameters > 1 else ():
            caller = new_id()
            mine, theirs = await a_thing(composed, each, caller), await a_thing(composed, each, new_id())
            for ids, as_if in (
                ((mine, theirs), (mine, new_id())),
                ((theirs, mine), (new_id(), mine)),
                ((theirs, theirs), (new_id(), new_id())),
            ):
                foreign = await ask(composed, each, role, caller, *ids)
                nowhere = await ask(composed, each, role, caller, *as_if)
                assert foreign.status_code == 404, (each.method, each.route.path, role, foreign.text)
                assert shape(foreign) == shape(nowhere), (each.method, each.route.path, role)
            tried += 1
    print(f"{service}: {tried} cells with a thing inside a thing")
    assert tried or service != "gateway"


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-18")
async def test_a_list_has_ones_own_rows_and_nobody_elses(composed: Any, service: str) -> None:
    tried = 0
    for each in listed(service, composed.apps[service].router.routes)[0]:
        for role in each.policy.roles & PERSONAL if each.tells_rows and each.thing is not None else ():
            caller, other = new_id(), new_id()
            mine = [str(await a_thing(composed, each, caller)) for _ in range(2)]
            theirs = [str(await a_thing(composed, each, other)) for _ in range(2)]
            for who, seen, unseen in ((caller, mine, theirs), (other, theirs, mine), (new_id(), [], [*mine, *theirs])):
                answer = await ask(composed, each, role, who)
                assert answer.status_code == 200, (each.route.path, role, answer.text)
                assert [one for one in seen if one not in answer.text] == [], (each.route.path, role)
                assert [one for one in unseen if one in answer.text] == [], (each.route.path, role)
            tried += 1
    print(f"{service}: {tried} cells with lists")
    assert tried or service == "standardization"


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-18")
async def test_what_is_ones_own_or_of_ones_office_is_there(composed: Any, service: str) -> None:
    tried = 0
    for each in named(composed, service):
        for role in each.policy.roles:
            caller = new_id()
            mine = await a_thing(composed, each, caller)
            answer = await ask(composed, each, role, caller, mine)
            refused = STOPPED.get(each.route.path_format)
            if refused is None:
                assert answer.status_code in {200, 201, 204}, (each.method, each.route.path, role, answer.text)
            else:
                assert (answer.status_code, answer.json()["type"]) == (409, f"urn:town:problem:{refused}")
            tried += 1
    print(f"{service}: {tried} cells with one's own thing or one's office's")
    assert tried


@pytest.mark.parametrize("service", SERVING)
@pytest.mark.case("D-19")
async def test_a_thing_that_is_there_opens_to_no_other_role(composed: Any, service: str) -> None:
    for each in named(composed, service):
        if each.policy.scope is None:
            continue
        for role in set(Role) - each.policy.roles:
            caller = new_id()
            mine = await a_thing(composed, each, caller)
            token = composed.issuer.token(role, each.policy.scope, subject=caller, amr=("pwd", "otp"))
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id()), "If-Match": '"1"'}
            async with composed.client(each.service) as client:
                answer = await client.request(each.method, each.path(mine), headers=headers)
            slug = "zone-violation" if role is Role.SERVICE else "insufficient-scope"
            assert answer.status_code == 403, (each.method, each.route.path, role)
            assert answer.json()["type"] == f"urn:town:problem:{slug}", (each.method, each.route.path, role)
