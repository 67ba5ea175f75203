"""Every route stands in the authorisation matrix; part of `make check`, for it needs no database."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.contract.matrix import IN_BODIES, LISTS, NOT_LISTS, NOT_THINGS, PARAMETER, THINGS, listed, prefix_of

from town_kit.app import create_app
from town_kit.auth import RESIDENT, STAFF
from town_kit.routing import TownRouter
from town_onebox.contracts.compose import services

VAGUE = {"事務処理", "業務", "その他"}


@pytest.fixture(scope="module")
def apps() -> Iterator[dict[str, Any]]:
    with services() as made:
        yield {name: create_app(service) for name, service in made.items()}


def test_every_route_is_listed(apps: dict[str, Any]) -> None:
    wrong = [line for name, app in apps.items() for line in listed(name, app.router.routes)[1]]
    assert wrong == []


def test_no_line_stands_for_a_route_that_is_gone(apps: dict[str, Any]) -> None:
    known = {
        (name, prefix_of(route.path))
        for name, app in apps.items()
        for route in app.router.routes
        if PARAMETER.search(getattr(route, "path", ""))
    }
    assert (set(THINGS) | set(NOT_THINGS)) - known == set()
    paths = {(name, getattr(route, "path", "")) for name, app in apps.items() for route in app.router.routes}
    assert (set(LISTS) | set(NOT_LISTS)) - paths == set()


def test_every_audit_record_names_the_business_it_was_done_for(apps: dict[str, Any]) -> None:
    """利用目的: a word of its own for each kind of work, in Japanese, and a law or a consent it rests on."""
    audits = [r.policy.audit for n, app in apps.items() for r in listed(n, app.router.routes)[0] if r.policy.audit]
    assert len(audits) > 40
    vague = [a.action for a in audits if a.purpose in VAGUE or not re.search(r"[\u3040-\u9fff]{2}", a.purpose)]
    assert vague == []
    assert [a.action for a in audits if not re.search(r"法|条例|規則|同意", a.basis)] == []


def ids_in(schema: Any, schemas: Mapping[str, Any], place: str = "", seen: frozenset[str] = frozenset()) -> set[str]:
    """Where a body holds an id, as JSON pointers with ``*`` for what has many."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return set() if name in seen else ids_in(schemas[name], schemas, place, seen | {name})
    inner = [(each, place) for kind in ("anyOf", "allOf", "oneOf") for each in schema.get(kind, ())]
    inner += [(each, f"{place}/{name}") for name, each in schema.get("properties", {}).items()]
    inner += [
        (each, f"{place}/*") for kind in ("items", "additionalProperties") if isinstance(each := schema.get(kind), dict)
    ]
    found = {place} if schema.get("format") == "uuid" else set()
    return found.union(*(ids_in(each, schemas, where, seen) for each, where in inner))


def test_every_id_a_body_may_name_is_listed(apps: dict[str, Any]) -> None:
    named = set()
    for service, app in apps.items():
        description = app.openapi()
        schemas = description.get("components", {}).get("schemas", {})
        for path, operations in description["paths"].items():
            bodies = [each["requestBody"]["content"] for each in operations.values() if "requestBody" in each]
            for schema in (media["schema"] for content in bodies for media in content.values()):
                named |= {(service, path, place) for place in ids_in(schema, schemas)}
    assert named == set(IN_BODIES)


def undeclared(app: Any) -> None:
    async def read_secrets() -> None:
        """見る。"""

    app.add_api_route("/v1/secrets", read_secrets, methods=["GET"])


def mounted(app: Any) -> None:
    app.mount("/files", lambda *_: None)


def unlisted(app: Any) -> None:
    router = TownRouter(prefix="/v1/dossiers")

    @router.get("/{dossier_id}", scope="dossiers:read", roles=(STAFF,))
    async def read_dossier(dossier_id: str) -> None:
        """一件を見る。"""

    app.router.routes.extend(router.routes)


def unlisted_list(app: Any) -> None:
    router = TownRouter(prefix="/v1/dossiers")

    @router.get("", scope="dossiers:read", roles=(RESIDENT,))
    async def list_dossiers() -> None:
        """一覧。"""

    app.router.routes.extend(router.routes)


@pytest.mark.parametrize("forgotten", [undeclared, mounted, unlisted, unlisted_list])
def test_a_route_that_was_forgotten_is_seen(apps: dict[str, Any], forgotten: Any) -> None:
    app = apps["procedures"]
    before = list(app.router.routes)
    try:
        forgotten(app)
        wrong = listed("procedures", app.router.routes)[1]
    finally:
        app.router.routes[:] = before
    assert len(wrong) == 1, wrong
