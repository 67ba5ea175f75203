"""What a town makes at its first start: passwords and keys. No secret has a default, and none leaves the machine.

The vault's are in a folder of its own, which belongs to the vault's user: no other process needs them, and after the
first start none but the vault and the setup opens them.
"""

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from town_identity.keys import create_ring
from town_kit.auth.jose import DecryptionKey, SigningKey
from town_kit.db.server_files import Account
from town_onebox.place import Place

OUTER_SERVICES = ("identity", "procedures", "notifications", "gateway", "connector")
VAULT_SERVICE = "standardization"
OUTER_DATABASES = (*OUTER_SERVICES, "events_internet", "events_lgwan")
VAULT_DATABASES = (VAULT_SERVICE, "events_my_number")
DATABASES = (*OUTER_DATABASES, *VAULT_DATABASES)
CLIENTS = ("procedures", "standardization", "notifications", "gateway", "connector")


class Passwords(BaseModel, frozen=True):
    """Of the two roles of one database."""

    owner: str
    app: str


class Keys(BaseModel, frozen=True):
    """Symmetric keys of one service, base64 of 32 bytes."""

    key_encryption_key: str
    digest_key: str


class Secrets(BaseModel, frozen=True):
    """``secrets.json``."""

    backup_password: str
    databases: dict[str, Passwords]
    services: dict[str, Keys] = Field(description="service → its keys")


class VaultSecrets(BaseModel, frozen=True):
    """``vault/secrets.json``."""

    databases: dict[str, Passwords]
    keys: Keys


def prepare(place: Place) -> Secrets:
    """The town's secrets, made where missing. A database or service that is new gets its own; old ones stay."""
    place.make()
    found = _read(place.secrets)
    made = Secrets(
        backup_password=found.get("backup_password") or _password(),
        databases={name: found.get("databases", {}).get(name) or _passwords() for name in OUTER_DATABASES},
        services={name: found.get("services", {}).get(name) or _keys() for name in OUTER_SERVICES},
    )
    _write(place.secrets, made.model_dump_json(indent=2))
    for name in CLIENTS:
        if name != VAULT_SERVICE:
            signing_key(client_key(place, name))
    if not (place.key_ring / "ring.yaml").exists():
        create_ring(place.key_ring)
    return made


def prepare_vault(place: Place, account: Account) -> VaultSecrets:
    """The vault's secrets and keys, made where missing, in its own folder and given to its own user."""
    if not place.vault.exists():
        account.make_directory(place.vault)
    found = _read(place.vault_secrets)
    made = VaultSecrets(
        databases={name: found.get("databases", {}).get(name) or _passwords() for name in VAULT_DATABASES},
        keys=found.get("keys") or _keys(),
    )
    _write(place.vault_secrets, made.model_dump_json(indent=2))
    signing_key(client_key(place, VAULT_SERVICE))
    if not place.vault_private_key.exists():
        DecryptionKey.generate().save(place.vault_private_key)
    public = DecryptionKey.load(place.vault_private_key).public
    _write(place.vault_public_key, json.dumps(public.as_jwk(use="enc")), mode=0o644)
    for path in (place.vault, *place.vault.iterdir()):
        account.give(path)
    return made


def read(place: Place) -> Secrets:
    """The town's secrets as they were made."""
    return Secrets.model_validate(_read(place.secrets))


def read_vault(place: Place) -> VaultSecrets:
    """The vault's secrets, as the vault reads them."""
    return VaultSecrets.model_validate(_read(place.vault_secrets))


def client_key(place: Place, service: str) -> Path:
    """The key file with which a service asks identity for tokens."""
    return (place.vault if service == VAULT_SERVICE else place.keys) / f"client-{service}.pem"


def signing_key(path: Path) -> None:
    """An ES256 key as PEM, made when the file is missing."""
    if not path.exists():
        SigningKey.generate().save(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found


def _write(path: Path, content: str, *, mode: int = 0o600) -> None:
    """Write a whole file or none, synced: a secret that is half there would lock the town out of its own data."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _passwords() -> Passwords:
    return Passwords(owner=_password(), app=_password())


def _keys() -> Keys:
    return Keys(key_encryption_key=_key(), digest_key=_key())


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
