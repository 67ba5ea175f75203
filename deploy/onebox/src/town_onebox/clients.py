"""Who may ask identity for a token on one box: the town's own services, core systems and a partner of the sandbox."""

import json
from pathlib import Path
from typing import Any

import yaml

from town_kit.auth.jose import SigningKey, jwks
from town_onebox.core_systems import core_systems
from town_onebox.place import Place
from town_onebox.secrets import CLIENTS, client_key
from town_sandbox.jws import public_jwk
from town_sandbox.partner.registration import SCOPE


def write(place: Place, *, sandbox: bool) -> None:
    """Write ``clients.yaml``; identity reads it again when it changed."""
    clients = [_service(name, client_key(place, name)) for name in CLIENTS]
    if sandbox:
        clients.extend(_core_systems(place))
        clients.append(_partner(place))
    text = yaml.safe_dump({"clients": clients}, allow_unicode=True, sort_keys=False)
    if place.clients.exists() and place.clients.read_text(encoding="utf-8") == text:
        return
    temporary = place.clients.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(place.clients)


def _service(name: str, key: Path) -> dict[str, Any]:
    return {
        "client_id": f"service:{name}",
        "role": "service",
        "method": "private_key_jwt",
        "jwks": jwks([SigningKey.load(key).public]),
    }


def _core_systems(place: Place) -> list[dict[str, Any]]:
    issued = json.loads((place.sandbox / "credentials.json").read_text())["core_systems"]
    return [
        {
            "client_id": client["client_id"],
            "name": f"core system {business_id} (sandbox)",
            "role": "vendor",
            "method": "client_secret_jwt",
            "secret": client["client_secret"],
            "scopes": core_systems()[business_id].scope.split(),
        }
        for business_id, client in issued.items()
        if business_id in core_systems()
    ]


def _partner(place: Place) -> dict[str, Any]:
    issued = json.loads((place.sandbox / "credentials.json").read_text())["partner"]
    return {
        "client_id": issued["client_id"],
        "name": "operator of a residents' app (sandbox)",
        "role": "vendor",
        "method": "private_key_jwt",
        "jwks": {"keys": [public_jwk(issued["signing_key"])]},
        "scopes": SCOPE.split(),
    }
