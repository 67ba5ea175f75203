"""Every scope a route asks for can be held by the callers it is meant for; a route nobody may call is a mistake."""

from typing import Any

import pytest

from town_identity.clients import ScopeCatalogue, load_scopes
from town_identity.settings import IdentitySettings
from town_kit.auth import Role
from town_kit.routing import is_declared, policy_of
from town_onebox.registry import ENTRIES

CATALOGUE = load_scopes(IdentitySettings.model_fields["scopes"].default)


def holders(catalogue: ScopeCatalogue, scope: str) -> set[Role]:
    """The roles for which somebody may hold the scope."""
    found = {
        Role.RESIDENT: scope in catalogue.resident,
        Role.STAFF: any(scope in scopes for scopes in catalogue.staff.values()),
        Role.SERVICE: any(scope in scopes for scopes in catalogue.services.values()),
        Role.VENDOR: catalogue.allowed(Role.VENDOR, "any", scope),
    }
    return {role for role, may in found.items() if may}


@pytest.mark.parametrize("service", [entry.name for entry in ENTRIES])
def test_every_route_can_be_called_by_the_roles_it_names(composed: Any, service: str) -> None:
    for route in composed.apps[service].router.routes:
        policy = policy_of(route) if is_declared(route) else None
        if policy is None or policy.scope is None:
            continue
        able = holders(CATALOGUE, policy.scope)
        missing = set() if policy.roles == frozenset(Role) and able else policy.roles - able
        assert not missing, f"{route.path}: nobody of {sorted(missing)} may hold {policy.scope}"


def test_a_vendor_may_hold_no_scope_of_the_towns_own_routes() -> None:
    assert not any(CATALOGUE.allowed(Role.VENDOR, "any", scope) for scope in CATALOGUE.every_scope())
