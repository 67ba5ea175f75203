"""Settings of the gateway (zone INTERNET) and of its role ``connect`` (zone LGWAN)."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from town_gateway.mynaportal.webhooks import check_secret
from town_gateway.rate_limit import Limit
from town_kit.settings import ServiceSettings, service_prefix

# Who may ask how often a minute. Behind one mobile carrier's address many residents stand, hence the room.
LIMITS = {
    "anonymous": Limit(quota=600),
    "sign-in": Limit(quota=300),
    "resident": Limit(quota=600),
    "staff": Limit(quota=3_000),
    "vendor": Limit(quota=6_000),
    "service": Limit(quota=60_000),
}


class GatewaySettings(ServiceSettings):
    """What the gateway needs; ``addresses`` names every service of the route table."""

    model_config = SettingsConfigDict(env_prefix=service_prefix("gateway"))

    municipality_name: str = Field("穴水町", description="the town's name on the first page")
    webhook_secret: SecretStr | None = Field(
        None, description="whsec_…: the portal's secret, or new and old; none, no route"
    )
    rate_limits: dict[str, Limit] = Field(default_factory=dict, description="quota and window by kind of caller")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="networks of the load balancers whose X-Forwarded-For is believed"
    )
    callback_hosts: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="client id → host or host:port of its callbacks, as named when the client was registered",
    )
    callback_loopback: tuple[str, ...] = Field(
        (), description="host:port on this machine where a trial's receivers listen; never in production"
    )
    slots: int = Field(64, ge=9, description="requests in flight per process, 8 of them for the emergency lane")
    showcase: Path | None = Field(None, description="folder of a trial's journey and test tokens; never in production")

    @field_validator("webhook_secret")
    @classmethod
    def _strong_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        return check_secret(secret) if secret is not None else None

    @property
    def limits(self) -> dict[str, Limit]:
        """The limit of each kind of caller."""
        return {**LIMITS, **self.rate_limits}


class ConnectorSettings(ServiceSettings):
    """What the Mynaportal connector needs; ``addresses`` names identity and procedures."""

    model_config = SettingsConfigDict(env_prefix=service_prefix("connector"))

    profile: str = Field(description="sandbox, production, or the path of a profile")
    portal_url: str = Field(description="base address of the portal's API")
    portal_login_id: str = Field(description="the id the portal issued to the town")
    portal_password: SecretStr = Field(description="the password the portal issued to the town")
    poll_every: timedelta = Field(timedelta(minutes=5), description="pause between polls when nothing is announced")
    package_limit: int = Field(30 * 1024 * 1024, ge=1024, description="bytes of the longest package that is carried")
