"""What the outside world knows of the town, and what it gave to the town.

Two files stand in the directory of the sandbox:

* ``credentials.json`` (0600, made once by :func:`prepare`): what the outside parties issued to the town, and the client
  secrets of the vendors' core systems. Whoever starts the town reads it.
* ``config.json`` (written by whoever starts the town, read again whenever it changes): where the town is.
"""

import base64
import json
import os
import secrets
import string
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import BaseModel, Field

_LETTERS = string.ascii_letters + string.digits


class Portal(BaseModel, frozen=True):
    """Given by the portal to the town."""

    login_id: str
    password: str
    webhook_secret: str = Field(description="Standard Webhooks symmetric secret, whsec_ + base64 of 32 bytes")


class OidcClient(BaseModel, frozen=True):
    """Given by the staff directory (職員認証) to the town."""

    client_id: str
    client_secret: str
    signing_key: str = Field(description="ES256 private key of the directory, PEM")


class CoreSystemClient(BaseModel, frozen=True):
    """With which a vendor's core system asks the town for tokens (共通機能標準仕様書: 32 characters, secret ≥ 32)."""

    client_id: str = Field(pattern=r"^[0-9A-Za-z]{32}$")
    client_secret: str = Field(min_length=32)


class PartnerClient(BaseModel, frozen=True):
    """The operator of a residents' app: one client id for its app and for its server (private_key_jwt)."""

    client_id: str
    signing_key: str = Field(description="ES256 private key of the partner's server, PEM")


class Credentials(BaseModel, frozen=True):
    """``credentials.json``."""

    portal: Portal
    oidc: OidcClient
    fcm_service_account: dict[str, str] = Field(
        description="service-account file as Google gives it, without token_uri"
    )
    core_systems: dict[str, CoreSystemClient] = Field(description="業務ID → client")
    partner: PartnerClient = Field(default_factory=lambda: _partner_client())


class CoreSystemConfig(BaseModel, frozen=True):
    """How one core system works with the town."""

    scope: str = Field(description="what it asks a token for, such as 027:child_allowance_applications:Read")
    decides: bool = Field(True, description="false: the town's staff decide, the core system only takes records over")
    drop_folder: Path | None = Field(None, description="where the town puts CSV files")
    marker_suffix: str = Field(
        ".done", description="a file is complete when its name with this suffix stands beside it"
    )


class Config(BaseModel, frozen=True):
    """``config.json``; every part may be missing until the town is there."""

    municipality_code: str = "174611"
    webhook_url: str | None = None
    identity_address: str | None = Field(None, description="http://… or unix:/path of a socket; the token endpoint")
    gateway_address: str | None = Field(None, description="http://…; where a partner registers its callback")
    identity_audience: str | None = Field(None, description="`aud` of the client assertion: the issuer of identity")
    data_linkage_address: str | None = Field(None, description="http://… or unix:/path of standardization's listener")
    core_systems: dict[str, CoreSystemConfig] = Field(default_factory=dict)
    oidc_redirect_uris: list[str] = Field(default_factory=list)
    poll_seconds: float = 0.5
    portal_token_seconds: int = 600
    portal_page_size: int = 50


class ConfigFile:
    """``config.json`` as it stands now: read again when the file changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._config = Config()

    @property
    def now(self) -> Config:
        """The configuration as it stands."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return self._config
        if self._seen != (stat.st_mtime_ns, stat.st_size):
            self._config = Config.model_validate_json(self.path.read_bytes())
            self._seen = (stat.st_mtime_ns, stat.st_size)
        return self._config


class Place:
    """The directory of the sandbox and what stands in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config_file = ConfigFile(directory / "config.json")

    @property
    def config(self) -> Config:
        """The configuration as it stands now."""
        return self.config_file.now

    @cached_property
    def credentials(self) -> Credentials:
        """What the outside issued; made at the first look."""
        return prepare(self.directory, self.config.core_systems)


def prepare(directory: Path, businesses: Iterable[str] = ()) -> Credentials:
    """Make what ``credentials.json`` lacks, also a client for the core system of each 業務ID, and return all."""
    path = directory / "credentials.json"
    held = Credentials.model_validate_json(path.read_bytes()) if path.exists() else _issue(directory)
    missing = {business: _core_system_client() for business in businesses if business not in held.core_systems}
    made = held.model_copy(update={"core_systems": held.core_systems | missing})
    if missing or not path.exists() or "partner" not in held.model_fields_set:
        write_json(path, made.model_dump(mode="json"), mode=0o600)
    return made


def _core_system_client() -> CoreSystemClient:
    return CoreSystemClient(client_id=_letters(32), client_secret=_letters(48))


def _partner_client() -> PartnerClient:
    return PartnerClient(client_id="sandbox-partner-app", signing_key=_pem(ec.generate_private_key(ec.SECP256R1())))


def _issue(directory: Path) -> Credentials:
    directory.mkdir(parents=True, exist_ok=True)
    return Credentials(
        portal=Portal(
            login_id="anamizu-sandbox",
            password=secrets.token_urlsafe(24),
            webhook_secret="whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        ),
        oidc=OidcClient(
            client_id="town-identity",
            client_secret=secrets.token_urlsafe(32),
            signing_key=_pem(ec.generate_private_key(ec.SECP256R1())),
        ),
        fcm_service_account=_service_account("anamizu-sandbox"),
        core_systems={},
        partner=_partner_client(),
    )


def _service_account(project: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": secrets.token_hex(20),
        "private_key": _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "client_email": f"town-notifications@{project}.iam.gserviceaccount.com",
        "client_id": str(secrets.randbelow(10**21)).zfill(21),
    }


def write_json(path: Path, content: Any, *, mode: int = 0o644) -> None:
    """Write a whole file or none: readers never see half of it."""
    temporary = path.with_suffix(".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _letters(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
