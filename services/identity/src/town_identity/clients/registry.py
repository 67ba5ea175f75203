"""The clients in the configured file. A changed file is read again; a bad one stops the start, later it is refused.

Each entry: ``client_id``, ``role`` (vendor, service), ``method`` (private_key_jwt, client_secret_jwt), ``jwks`` or
``secret_file`` (relative to the file), ``scopes`` (a service's default to the catalogue).
"""

import logging
import re
import time
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self
from uuid import NAMESPACE_URL, UUID, uuid5

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, ValidationError, field_validator, model_validator

from town_identity.clients.scopes import ScopeCatalogue
from town_kit.auth import Role
from town_kit.auth.jose import PublicKey, parse_jwks

log = logging.getLogger(__name__)
_LOOK_SECONDS = 10.0
# 庁内データ連携の API 仕様: client_id は半角英数字 32 文字、秘密は 32 文字以上
_LINKAGE_CLIENT_ID = re.compile(r"[0-9A-Za-z]{32}\Z")
_SECRET_BYTES = 32


class Method(StrEnum):
    """How a client proves itself at the token endpoint (RFC 7523); passwords are not offered."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_JWT = "client_secret_jwt"  # noqa: S105 - the name of a method


def client_uuid(client_id: str) -> UUID:
    """The id under which a client is a principal."""
    return uuid5(NAMESPACE_URL, f"urn:town:client:{client_id}")


class Client(BaseModel):
    """One client: a vendor's system (事業者システム) or one of the town's services."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    client_id: str = Field(pattern=r"^[A-Za-z0-9:._-]{3,64}$")
    name: str = ""
    role: Literal[Role.VENDOR, Role.SERVICE]
    method: Method
    jwks: dict[str, Any] | None = None
    secret: SecretBytes | None = None
    scopes: frozenset[str] = frozenset()

    @property
    def id(self) -> UUID:
        """The client as a principal."""
        return client_uuid(self.client_id)

    @property
    def keys(self) -> dict[str, PublicKey]:
        """The public keys of a ``private_key_jwt`` client."""
        return parse_jwks(self.jwks or {"keys": []})

    @field_validator("role", mode="before")
    @classmethod
    def _known_role(cls, value: object) -> object:
        return Role(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.method is Method.PRIVATE_KEY_JWT and (self.secret is not None or not self.keys):
            raise ValueError("private_key_jwt needs jwks and no secret")
        if self.method is Method.CLIENT_SECRET_JWT:
            if self.secret is None or len(self.secret.get_secret_value()) < _SECRET_BYTES:
                raise ValueError("client_secret_jwt needs a secret of at least 32 bytes")
            if not _LINKAGE_CLIENT_ID.match(self.client_id):
                raise ValueError("client_secret_jwt needs a client id of 32 letters and digits")
        return self


class ClientRegistry:
    """Finds clients by id; reads the file again when it has changed."""

    def __init__(self, path: Path, scopes: ScopeCatalogue) -> None:
        self._path, self._scopes = path, scopes
        self._clients, self._stamp = load_clients(path, scopes), path.stat().st_mtime_ns
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def find(self, client_id: str) -> Client | None:
        """The client, or None."""
        if time.monotonic() > self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._read_changed()
        return self._clients.get(client_id)

    def _read_changed(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._clients, self._stamp = load_clients(self._path, self._scopes), stamp
        except (OSError, ValueError, ValidationError, yaml.YAMLError) as error:
            log.warning("the changed client file was not taken: %s", type(error).__name__)


def load_clients(path: Path, scopes: ScopeCatalogue) -> dict[str, Client]:
    """Read the file; raises ``ValueError`` for an entry that is incomplete or holds a scope it may not hold."""
    clients: dict[str, Client] = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["clients"]:
        client = _client(dict(entry), path.parent, scopes)
        if client.client_id in clients:
            raise ValueError(f"{client.client_id} stands in the file twice")
        refused = [s for s in client.scopes if not scopes.allowed(client.role, client.client_id, s)]
        if refused:
            raise ValueError(f"{client.client_id} may not hold {', '.join(sorted(refused))}")
        clients[client.client_id] = client
    return clients


def _client(entry: dict[str, Any], folder: Path, scopes: ScopeCatalogue) -> Client:
    if (secret_file := entry.pop("secret_file", None)) is not None:
        entry["secret"] = (folder / secret_file).read_bytes().strip()
    if entry.get("role") == Role.SERVICE.value and "scopes" not in entry:
        entry["scopes"] = scopes.services.get(str(entry.get("client_id")), frozenset())
    return Client.model_validate(entry)
