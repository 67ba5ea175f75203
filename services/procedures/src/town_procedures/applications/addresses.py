"""支援措置: addresses of a protected person are shown to nobody who has no right to them (住民基本台帳事務処理要領)."""

from collections.abc import Mapping
from typing import Any

from town_kit.auth import Principal, Role
from town_procedures.applications.models import Application
from town_procedures.catalogue import Procedure

SCOPE = "protected-addresses:read"


def are_hidden(application: Application, reader: Principal) -> bool:
    """Whether a party is protected and the reader has no right to see where she lives."""
    if reader.role is Role.STAFF and reader.may(SCOPE):
        return False
    protected = {party["person_id"] for party in application.party_refs if party["protected"]}
    return bool(protected - {str(reader.id)})


def without(answers: Mapping[str, Any], procedure: Procedure | None) -> dict[str, Any]:
    """The answers with every address emptied; without its folder, all of them are."""
    if procedure is None:
        return {}
    shown: dict[str, Any] = _hide(answers, procedure.form)
    return shown


def _hide(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("x-address"):
        return None
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        return {name: _hide(item, known.get(name, {})) for name, item in value.items()}
    if isinstance(value, list):
        return [_hide(item, schema.get("items", {})) for item in value]
    return value
