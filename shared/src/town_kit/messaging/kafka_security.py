"""How the brokers of Apache Kafka are reached: TLS with pinned authorities, and who this process is to them.

Passwords and keys are files, so that they stand in no environment and can be changed by whoever keeps them. A password
over an open connection is not offered.
"""

import ssl
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator


class KafkaSecurity(BaseModel):
    """The security of one log.

    Attributes:
        protocol: SSL (TLS, and a client certificate where the brokers ask for one) or SASL_SSL (TLS and a password).
        ca: authorities (PEM) that may have signed the brokers' certificates; by default those the machine trusts.
        certificate, key: the client's own certificate with its chain, and its key (PEM).
        mechanism, username, password_file: for SASL_SSL.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal["SSL", "SASL_SSL"]
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    username: str | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        sasl = self.protocol == "SASL_SSL"
        if (self.username is not None, self.password_file is not None) != (sasl, sasl):
            raise ValueError("username and password_file belong to SASL_SSL, and both are needed there")
        return self

    def options(self) -> dict[str, Any]:
        """What aiokafka's clients are given.

        Raises:
            RuntimeError: a file cannot be read or is not what it should be; the message names it, never its content.
        """
        found: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self._context()}
        if self.username is not None and self.password_file is not None:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": _password(self.password_file),
            }
        return found

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError):
            raise RuntimeError(f"the authorities of Apache Kafka cannot be read: {self.ca}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ValueError):
                raise RuntimeError(f"certificate and key cannot be used: {self.certificate}, {self.key}") from None
        return context


def _password(path: Path) -> str:
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        password = ""
    if not password:
        raise RuntimeError(f"no password can be read: {path}")
    return password
