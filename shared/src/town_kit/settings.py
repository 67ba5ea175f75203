"""Settings every service shares: small, frozen, typed, and without a default secret.

A service derives its own class and sets ``env_prefix``; a missing value names the field and the process does not start.
"""

import base64
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from town_kit.messaging.kafka_security import KafkaSecurity

KEY_BYTES = 32


class Zone(StrEnum):
    """A network zone of the town (三層の対策), outermost first."""

    INTERNET = "INTERNET"
    LGWAN = "LGWAN"
    MY_NUMBER = "MY_NUMBER"

    @property
    def depth(self) -> int:
        """0 for the outermost zone; a process may open connections outward only."""
        return list(Zone).index(self)


class ServiceSettings(BaseSettings):
    """What every service needs to start; see the class of each service for its own fields."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Literal["development", "production"] = "development"
    municipality_code: str = Field("174611", pattern=r"^\d{6}$", description="全国地方公共団体コード (6 digits)")
    database_url: SecretStr = Field(description="SQLAlchemy URL of the application role, which owns nothing")
    owner_url: SecretStr | None = Field(None, description="SQLAlchemy URL of the owner role; migrations only")
    pool_size: int = Field(2, ge=1, le=50, description="connections per process; closed when idle")
    transport: Literal["pglog", "kafka"] = "pglog"
    log_urls: dict[Zone, SecretStr] = Field(
        default_factory=dict,
        description="address of the event log of each zone this process may reach (PostgreSQL DSN or host:port)",
    )
    log_security: dict[Zone, KafkaSecurity] = Field(
        default_factory=dict,
        description="zone → TLS and password of its log, with kafka; else an open connection",
    )
    issuer: str = Field(description="issuer of the access tokens this service accepts")
    jwks: str = Field(description="where the issuer's keys are read: a file path, or an address of `town_kit.http`")
    addresses: dict[str, str] = Field(default_factory=dict, description="service name → http://…, unix:/…, asgi:name")
    client_key: Path | None = Field(None, description="ES256 key (PEM) with which this service asks for tokens")
    key_encryption_key: SecretStr | None = Field(None, description="base64 of 32 bytes; wraps the keys of blobs")
    older_key_encryption_key: SecretStr | None = Field(
        None, description="base64 of the key before it; still opens what it wrapped, during a change"
    )
    digest_key: SecretStr | None = Field(None, description="base64 of 32 bytes; HMAC key of stored digests")
    otlp_endpoint: str | None = Field(None, description="OpenTelemetry collector; without one nothing is exported")
    audit_anchor: str | None = Field(
        None, pattern="^https?://.", description="where the head of the audit chain is posted; demanded in production"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def key(self, name: str) -> bytes:
        """The 32 bytes of the key in the field ``name``.

        Raises:
            RuntimeError: there is none, or it is not 32 bytes in base64; the message names the variable, not the value.
        """
        secret: SecretStr | None = getattr(self, name)
        if secret is None:
            raise RuntimeError(f"{self._variable(name)} is missing: base64 of {KEY_BYTES} bytes")
        with suppress(ValueError):
            key = base64.b64decode(secret.get_secret_value(), validate=True)
            if len(key) == KEY_BYTES:
                return key
        raise RuntimeError(f"{self._variable(name)} must be {KEY_BYTES} bytes in base64")

    @model_validator(mode="after")
    def _anchored_in_production(self) -> Self:
        if self.environment == "production" and self.audit_anchor is None:
            raise ValueError(
                f"{self._variable('audit_anchor')} がありません。本番では監査記録の先頭を町の外に控えます。"
                "控え先のアドレス（https://…）を設定してから、起動し直してください。"
            )
        return self

    def key_encryption_keys(self) -> tuple[bytes, ...]:
        """The key encryption key and, during a change of keys, the one before it.

        Raises:
            RuntimeError: as :meth:`key`.
        """
        newest = self.key("key_encryption_key")
        return (newest,) if self.older_key_encryption_key is None else (newest, self.key("older_key_encryption_key"))

    def _variable(self, name: str) -> str:
        return f"{self.model_config.get('env_prefix', '')}{name.upper()}"


def service_prefix(service: str) -> str:
    """The environment prefix of a service, such as ``TOWN_PROCEDURES_``."""
    return f"TOWN_{service.upper()}_"
