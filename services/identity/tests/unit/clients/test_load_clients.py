"""A client that is incomplete or too powerful stops the start."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from town_identity.clients import ClientRegistry, load_scopes
from town_identity.clients.registry import load_clients
from town_identity.settings import IdentitySettings
from town_kit.auth import Role
from town_kit.auth.jose import generate_signing_key, jwks

SCOPES = load_scopes(IdentitySettings.model_fields["scopes"].default)
KEY = generate_signing_key()
SERVICE = {
    "client_id": "service:procedures",
    "role": "service",
    "method": "private_key_jwt",
    "jwks": jwks([KEY.public]),
}
VENDOR = {
    "client_id": "A" * 32,
    "role": "vendor",
    "method": "client_secret_jwt",
    "secret": "s" * 32,
    "scopes": ["027:child_allowance_applications:Read"],
}


def write(folder: Path, *entries: dict[str, Any]) -> Path:
    file = folder / "clients.yaml"
    file.write_text(yaml.safe_dump({"clients": list(entries)}))
    return file


def test_a_service_holds_what_the_catalogue_gives_it(tmp_path: Path) -> None:
    client = load_clients(write(tmp_path, SERVICE, VENDOR), SCOPES)["service:procedures"]
    assert (client.role, KEY.kid in client.keys) == (Role.SERVICE, True)
    assert client.scopes == SCOPES.services["service:procedures"]


def test_a_secret_may_stand_in_a_file_of_its_own_and_shows_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x" * 40 + "\n")
    entry = {k: v for k, v in VENDOR.items() if k != "secret"} | {"secret_file": "secret"}
    client = load_clients(write(tmp_path, entry), SCOPES)["A" * 32]
    assert client.secret is not None
    assert client.secret.get_secret_value() == b"x" * 40
    assert "xxx" not in repr(client)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "short"},
        {"secret": None},
        {"client_id": "short"},
        {"method": "client_secret_basic"},
        {"method": "private_key_jwt"},
        {"scopes": ["applications:decide"]},
        {"scopes": ["027:*:Delete"]},
        {"role": "staff"},
        {"unknown": 1},
    ],
)
def test_a_wrong_vendor_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        load_clients(write(tmp_path, VENDOR | changes), SCOPES)


@pytest.mark.parametrize(
    "changes", [{"jwks": None}, {"jwks": {"keys": []}}, {"scopes": ["number-links:import"]}, {"secret": "s" * 40}]
)
def test_a_wrong_service_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        load_clients(write(tmp_path, SERVICE | changes), SCOPES)


def test_a_client_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        load_clients(write(tmp_path, VENDOR, VENDOR), SCOPES)


def test_a_changed_file_is_read_again_and_a_bad_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("town_identity.clients.registry._LOOK_SECONDS", -1.0)
    registry = ClientRegistry(write(tmp_path, SERVICE), SCOPES)
    assert registry.find("A" * 32) is None
    write(tmp_path, SERVICE, VENDOR)
    assert registry.find("A" * 32) is not None
    (tmp_path / "clients.yaml").write_text("clients: [{}]")
    assert registry.find("A" * 32) is not None
