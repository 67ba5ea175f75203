"""Settings of `procedures`; environment variables start with ``TOWN_PROCEDURES_``."""

from datetime import date
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from town_kit.settings import ServiceSettings


class ProceduresSettings(ServiceSettings):
    """What `procedures` needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="TOWN_PROCEDURES_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    vault_public_key: Path = Field(description="JWK of the vault's public key; numbers are encrypted to it")
    catalogue: Path | None = Field(None, description="folder of procedure folders; by default those shipped")
    closed_days: tuple[date, ...] = Field((), description="the town's own closed days beside the public holidays")
    package_profile: str = Field("sandbox", description="layout of raw packages: sandbox, production, or a file")

    @model_validator(mode="after")
    def _no_simulator_in_production(self) -> Self:
        if self.environment == "production" and self.package_profile == "sandbox":
            raise ValueError("TOWN_PROCEDURES_PACKAGE_PROFILE: the sandbox profile is not for production")
        return self
