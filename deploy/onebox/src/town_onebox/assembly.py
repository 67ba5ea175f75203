"""The composition root (構成): which settings each service gets, in which process. Nothing else decides them."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from town_identity.settings import IdentitySettings
from town_kit.db.server import dsn, sqlalchemy_url
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone, service_prefix
from town_onebox import secrets
from town_onebox.place import Place
from town_onebox.registry import BY_NAME, ENTRIES, Entry
from town_onebox.secrets import Keys, Passwords, Secrets

SANDBOX_SECONDS = 60.0
IN_PROCESS = ("identity", "procedures", "notifications")
OUTER = frozenset({"notifications"})  # INTERNET: inner zones hear its events, nobody calls it from inside
PARTNER_ORIGIN = "https://partner.example"
LOG_DATABASES = {Zone.INTERNET: "events_internet", Zone.LGWAN: "events_lgwan", Zone.MY_NUMBER: "events_my_number"}


class Process(StrEnum):
    """The kinds of processes; a service reaches its neighbours differently from each."""

    WEB = "web"
    WORKER = "worker"
    VAULT = "vault"
    OWN = "own"


@dataclass(frozen=True)
class Town:
    """What the processes of one town know when they start.

    Attributes:
        place: the town's directory.
        secrets: the town's secrets, without the vault's.
        server: host and port of PostgreSQL.
        public_url: where the gateway answers.
        vault_url: where standardization answers, on its own listener.
        zones: which zones run here.
        environment: development or production.
        sandbox: the outside world is the sandbox in ``place.sandbox``.
        transport: pglog or kafka.
        log_addresses: zone → bootstrap servers, with kafka.
        service_urls: service → its address, where each is a process of its own.
        overrides: service → settings that replace ours (``town.yaml``).
        started_at: wall clock, seconds; what the sandbox wrote before is of an earlier run.
        otlp_endpoint: OpenTelemetry collector; None sends nothing.
    """

    place: Place
    secrets: Secrets
    server: tuple[str, int]
    public_url: str
    vault_url: str
    zones: frozenset[Zone] = frozenset(Zone)
    environment: str = "development"
    sandbox: bool = False
    transport: str = "pglog"
    log_addresses: Mapping[Zone, str] = field(default_factory=dict)
    service_urls: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    started_at: float = 0.0
    otlp_endpoint: str | None = None

    @property
    def issuer(self) -> str:
        """The issuer of the town's tokens."""
        return f"{self.public_url}/identity"

    def entries(self, *, vault: bool = False) -> list[Entry]:
        """The services that run here, in or outside the vault."""
        return [entry for entry in ENTRIES if entry.zone in self.zones and entry.vault is vault]

    def service(self, name: str, process: Process) -> Service:
        """The service ``name`` for a process of that kind."""
        entry = BY_NAME[name]
        return entry.create(self.settings(entry, process))

    def settings(self, entry: Entry, process: Process) -> ServiceSettings:
        """The settings of a service for a process of that kind."""
        return entry.settings(**self.values(entry, process))

    def environment_of(self, entry: Entry, process: Process = Process.OWN) -> dict[str, str]:
        """The same settings as environment variables, by default for a process of its own."""
        prefix = service_prefix(entry.name)
        return {f"{prefix}{name.upper()}": _text(value) for name, value in self.values(entry, process).items()}

    def values(self, entry: Entry, process: Process) -> dict[str, Any]:
        """The settings of a service by field; ``town.yaml`` has the last word."""
        keys, passwords = self._secrets_of(entry)
        common: dict[str, Any] = {
            "environment": self.environment,
            "database_url": sqlalchemy_url(self._dsn(entry.name, passwords[entry.name])),
            "transport": self.transport,
            "log_urls": self._log_urls(entry.zone, passwords),
            "issuer": self.issuer,
            "jwks": self._address("identity", process),
            "addresses": {name: self._address(name, process) for name in IN_PROCESS},
            "key_encryption_key": keys.key_encryption_key,
            "digest_key": keys.digest_key,
            "client_key": secrets.client_key(self.place, entry.name) if entry.name in secrets.CLIENTS else None,
            "audit_anchor": self.sandbox_addresses()["audit_anchor"] if self.sandbox else None,
        }
        own = _OWN.get(entry.name, _nothing)(self)
        outside = _SANDBOX.get(entry.name, _nothing)(self) if self.sandbox else {}
        values = {**common, **own, **outside, **self.overrides.get(entry.name, {})}
        return {name: value for name, value in values.items() if value is not None}

    def _secrets_of(self, entry: Entry) -> tuple[Keys, Mapping[str, Passwords]]:
        if not entry.vault:
            return self.secrets.services[entry.name], self.secrets.databases
        vault = secrets.read_vault(self.place)
        return vault.keys, {**self.secrets.databases, **vault.databases}

    def _dsn(self, database: str, passwords: Passwords) -> str:
        return dsn(*self.server, f"{database}_app", passwords.app, database)

    def _log_urls(self, zone: Zone, passwords: Mapping[str, Passwords]) -> dict[Zone, str]:
        """The logs of the zone itself and of those further out; an outer process gets no address of an inner one."""
        reachable = [each for each in Zone if each.depth <= zone.depth]
        if self.transport == "kafka":
            return {each: self.log_addresses[each] for each in reachable}
        return {each: self._dsn(LOG_DATABASES[each], passwords[LOG_DATABASES[each]]) for each in reachable}

    def _address(self, service: str, process: Process) -> str:
        if process is Process.OWN:
            return self.service_urls[service]
        if process is Process.WEB or service in OUTER:
            return f"asgi:{service}"
        return f"unix:{self.place.internal_socket(service)}"

    def log_address(self, zone: Zone) -> str:
        """The address of an outer zone's log: a DSN, or bootstrap servers. The vault's is not known here."""
        database = LOG_DATABASES[zone]
        if self.transport == "kafka":
            return self.log_addresses[zone]
        return self._dsn(database, self.secrets.databases[database])

    def sandbox_addresses(self) -> dict[str, str]:
        """Where the outside world listens; waits until it does."""
        path = self.place.sandbox / "addresses.json"
        give_up = time.monotonic() + SANDBOX_SECONDS
        while not path.exists() or path.stat().st_mtime < self.started_at:
            if time.monotonic() > give_up:
                raise RuntimeError(f"the sandbox did not start; see {self.place.logs}/sandbox.log")
            time.sleep(0.05)
        found: dict[str, str] = json.loads(path.read_text())
        return found


def _nothing(_: Town) -> dict[str, Any]:
    return {}


def _text(value: Any) -> str:
    if isinstance(value, str | Path | bool | int | float):
        return str(value)
    return json.dumps(value, default=str)


def _identity(town: Town) -> dict[str, Any]:
    return {"key_ring": town.place.key_ring, "clients": town.place.clients}


def _procedures(town: Town) -> dict[str, Any]:
    return {"vault_public_key": town.place.vault_public_key}


def _standardization(town: Town) -> dict[str, Any]:
    return {"vault_private_key": town.place.vault_private_key, "drop_folder": town.place.drop}


def _gateway(town: Town) -> dict[str, Any]:
    return {"showcase": town.place.showcase if town.sandbox else None}


_OWN: Mapping[str, Callable[[Town], dict[str, Any]]] = {
    "identity": _identity,
    "procedures": _procedures,
    "standardization": _standardization,
    "gateway": _gateway,
}


def _credentials(town: Town) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((town.place.sandbox / "credentials.json").read_text())
    return found


def _sandbox_identity(town: Town) -> dict[str, Any]:
    oidc = _credentials(town)["oidc"]
    return {
        "test_anchors": town.place.sandbox / "jpki" / "anchors",
        "revocation_lists": town.place.sandbox / "jpki" / "crl",
        "oidc_issuer": town.sandbox_addresses()["oidc"],
        "oidc_client_id": oidc["client_id"],
        "oidc_client_secret": oidc["client_secret"],
        "oidc_redirect_uri": redirect_uri(town),
        "resident_apps": {
            **IdentitySettings.model_fields["resident_apps"].get_default(call_default_factory=True),
            _credentials(town)["partner"]["client_id"]: PARTNER_ORIGIN,
        },
    }


def _sandbox_gateway(town: Town) -> dict[str, Any]:
    credentials, partner = _credentials(town), urlsplit(town.sandbox_addresses()["partner"]).netloc
    return {
        "webhook_secret": credentials["portal"]["webhook_secret"],
        "callback_hosts": {credentials["partner"]["client_id"]: [partner]},
        "callback_loopback": [partner],
    }


def _sandbox_connector(town: Town) -> dict[str, Any]:
    portal = _credentials(town)["portal"]
    return {
        "profile": "sandbox",
        "portal_url": town.sandbox_addresses()["mynaportal"],
        "portal_login_id": portal["login_id"],
        "portal_password": portal["password"],
    }


def _sandbox_notifications(town: Town) -> dict[str, Any]:
    outside = town.sandbox_addresses()
    return {
        "fcm_service_account": town.place.fcm_service_account,
        "fcm_address": outside["fcm"],
        "fcm_token_url": f"{outside['fcm']}/token",
        "smtp_address": outside["smtp"],
        "smtp_tls": "none",
    }


_SANDBOX: Mapping[str, Callable[[Town], dict[str, Any]]] = {
    "identity": _sandbox_identity,
    "gateway": _sandbox_gateway,
    "connector": _sandbox_connector,
    "notifications": _sandbox_notifications,
}


def redirect_uri(town: Town) -> str:
    """Where the staff directory sends a browser back to."""
    return f"{town.public_url}/staff/callback"


def names(entries: Iterable[Entry]) -> list[str]:
    """The names of services, in their order."""
    return [entry.name for entry in entries]
