"""Settings of `notifications`; environment variables start with ``TOWN_NOTIFICATIONS_``."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from town_kit.settings import ServiceSettings


class NotificationsSettings(ServiceSettings):
    """What `notifications` needs beside what every service needs. A channel without its settings is not used."""

    model_config = SettingsConfigDict(
        env_prefix="TOWN_NOTIFICATIONS_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    town_names: dict[Literal["ja", "ja-simple", "en"], str] = Field(
        default={"ja": "穴水町", "ja-simple": "穴水町（あなみずまち）", "en": "Anamizu Town"},
        description="name of the town in each language",
    )
    fcm_service_account: Path | None = Field(None, description="service-account file of the Firebase project")
    fcm_address: str = Field("https://fcm.googleapis.com", description="scheme and host of FCM HTTP v1")
    fcm_token_url: str = Field(
        "https://oauth2.googleapis.com/token", description="where the account's assertion is exchanged for a token"
    )
    smtp_address: str | None = Field(None, description="smtp://host:port of the mail server of the town")
    smtp_tls: Literal["required", "implicit", "none"] = Field(
        "required", description="STARTTLS, TLS from the first byte, or none (a server on the same machine)"
    )
    smtp_username: str | None = Field(None, description="for SMTP AUTH")
    smtp_password: SecretStr | None = Field(None, description="for SMTP AUTH")
    mail_from: str = Field("no-reply@town.invalid", description="address that stands in From")

    @field_validator("smtp_address")
    @classmethod
    def _has_host_and_port(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme != "smtp" or not parts.hostname or not parts.port:
                raise ValueError("must be smtp://host:port")
        return value
