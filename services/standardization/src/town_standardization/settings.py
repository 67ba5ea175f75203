"""Settings of `standardization`; environment variables start with ``TOWN_STANDARDIZATION_``."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from town_kit.settings import ServiceSettings


class StandardizationSettings(ServiceSettings):
    """What `standardization` needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="TOWN_STANDARDIZATION_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    vault_private_key: Path = Field(description="the vault's private key (JWK or PEM); readable by this service alone")
    vault_older_keys: tuple[Path, ...] = Field((), description="keys before it, which still open what waits")
    package_profile: str = Field("sandbox", description="layout of raw packages: sandbox, production, or a file")
    adapters: tuple[str, ...] | None = Field(None, description="names of the adapters in use; all shipped by default")
    drop_folder: Path | None = Field(
        None,
        description="where CSV files are put down, in the folder of the 業務ID; a business without one gets none",
    )
    addressee_number_first: int = Field(
        900_000_000_000_001, ge=1, description="first 住登外者宛名番号; its range must not meet 住民宛名番号"
    )
    integrated_number_first: int = Field(1, ge=1, description="first 団体内統合宛名番号")
    addressee_number_width: int = Field(15, ge=1, le=15, description="digits of a 宛名番号")
    addressee_number_zero_padded: bool = Field(True, description="whether shorter numbers are filled with zeros")
    numbering_path: str = Field(
        "/app_submit/v10/jutogaishaatenabangofuban", description="APIコール名 of 住登外者宛名番号付番"
    )

    @model_validator(mode="after")
    def _no_simulator_in_production(self) -> Self:
        if self.environment == "production" and self.package_profile == "sandbox":
            raise ValueError("TOWN_STANDARDIZATION_PACKAGE_PROFILE: the sandbox profile is not for production")
        return self
