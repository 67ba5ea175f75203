"""Settings of `identity`; environment variables start with ``TOWN_IDENTITY_``."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from town_identity.jpki import PRODUCTION_ANCHORS
from town_identity.jpki.profile import DEFAULT_PROFILE
from town_kit.settings import ServiceSettings

HERE = Path(__file__).parent


class IdentitySettings(ServiceSettings):
    """What `identity` needs beside what every service needs."""

    model_config = SettingsConfigDict(
        env_prefix="TOWN_IDENTITY_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    key_ring: Path = Field(description="folder with ring.yaml and the ES256 keys that sign access tokens")
    clients: Path = Field(description="YAML file of vendors' and services' clients")
    scopes: Path = Field(HERE / "clients" / "scopes.yaml", description="who may hold which scope")

    jpki_profile: Path = Field(DEFAULT_PROFILE, description="certificate profile (policies, attributes)")
    production_anchors: Path = Field(PRODUCTION_ANCHORS, description="folder of pinned J-LIS authorities")
    test_anchors: Path | None = Field(None, description="folder of test authorities; refused in production")
    revocation_lists: Path = Field(description="folder into which revocation lists (*.crl) are delivered")
    # with the 15 s after which procedures asks again, a list that arrives settles what waits within a minute
    revocation_look_seconds: float = Field(15, ge=0, le=30, description="how often that folder is looked at")
    number_link_profile: Path | None = Field(
        None, description="layout of the 番号紐付 file; by default the shipped one of the environment"
    )

    login_domain: str = Field("town-login-v1", description="first bytes of every login challenge")
    resident_apps: dict[str, str] = Field(
        default_factory=lambda: {"resident-app": "https://town.example"},
        description="residents' apps: client id → the origin a login is bound to",
    )
    resident_token_seconds: int = Field(600, ge=60, le=600)
    staff_token_seconds: int = Field(1800, ge=60, le=3600)
    sealed_token_seconds: int = Field(1800, ge=60, le=3600, description="token of a 封印アカウント; never refreshed")
    sealed_account_hours: int = Field(8, ge=1, le=72, description="how long an opened envelope signs in")
    directory_away_seconds: int = Field(
        120, ge=0, le=3600, description="the staff directory must be away this long before envelopes may be opened"
    )
    client_token_seconds: int = Field(600, ge=60, le=3600)
    refresh_days: int = Field(30, ge=1, le=90, description="a device that is silent for longer signs in again")

    oidc_issuer: str | None = Field(None, description="the staff directory (OpenID Connect); none: no staff sign-in")
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    oidc_redirect_uri: str = ""
