"""Which counterpart stands behind each port of the gateway and of the connector; chosen here and nowhere else."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import httpx

from town_gateway.callbacks.destinations import Destinations
from town_gateway.callbacks.send import Sender
from town_gateway.mynaportal.intake import IntakeClient
from town_gateway.mynaportal.portal import PortalClient
from town_gateway.mynaportal.profile import load_profile
from town_gateway.openapi_merge import Description
from town_gateway.portal.showcase import Showcase
from town_gateway.ports import Connect, Ports
from town_gateway.routes import ROUTES
from town_gateway.settings import ConnectorSettings, GatewaySettings
from town_kit import http
from town_kit.auth import ServiceTokens, TokenVerifier, key_source
from town_kit.auth.jose import SigningKey
from town_kit.breaker import Breaker
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.sealing import ColumnSealer
from town_kit.settings import ServiceSettings


def database(settings: ServiceSettings, name: str) -> Database:
    """The database of the role ``name``."""
    return Database(settings.database_url.get_secret_value(), pool_size=settings.pool_size, application=name)


# a raw package of the largest size, on its way through the zones
PACKAGE_SECONDS = 300.0


def verifier(settings: ServiceSettings, clock: Clock) -> TokenVerifier:
    """The check of access tokens."""
    return TokenVerifier(issuer=settings.issuer, source=key_source(settings.jwks), clock=clock)


def connection(address: str, *, total: float = 60.0) -> Connect:
    """Opens a client to the service at ``address``, whose calls take ``total`` seconds at most."""
    opens: Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]] = partial(http.connect, address, total=total)
    return opens


def ports(settings: GatewaySettings, clock: Clock) -> Ports:
    """All ports of the gateway's own routes."""
    if settings.showcase is not None and settings.environment == "production":
        raise RuntimeError("TOWN_GATEWAY_SHOWCASE shows test tokens: remove it from the production profile")
    services = {route.service: connection(settings.addresses[route.service]) for route in ROUTES}
    return Ports(
        clock=clock,
        services=services,
        webhook_secret=settings.webhook_secret,
        showcase=Showcase(settings.showcase),
        description=Description(services, ROUTES),
        municipality=settings.municipality_name,
        destinations=destinations(settings),
        callback_sealer=callback_sealer(settings),
    )


def destinations(settings: GatewaySettings) -> Destinations:
    """Where callbacks may lead."""
    if settings.callback_loopback and settings.environment == "production":
        raise RuntimeError("TOWN_GATEWAY_CALLBACK_LOOPBACK is for trials: remove it from the production profile")
    return Destinations(settings.callback_hosts, settings.callback_loopback)


def callback_sealer(settings: GatewaySettings) -> ColumnSealer:
    """Seals the secrets with which callbacks are signed."""
    newest, *older = settings.key_encryption_keys()
    return ColumnSealer(newest, "town gateway: secrets of callbacks", older)


def callback_sender(settings: GatewaySettings, database: Database, clock: Clock) -> Sender:
    """Sends what callbacks are to be told."""
    return Sender(database, destinations(settings), callback_sealer(settings), clock)


def portal_client(settings: ConnectorSettings) -> PortalClient:
    """The portal as the profile describes it. Fails where the profile is not filled."""
    system = http.outbound("mynaportal", settings.portal_url, retry=http.Retry(), breaker=Breaker())
    return PortalClient(
        load_profile(settings.profile), system, login_id=settings.portal_login_id, password=settings.portal_password
    )


def intake_client(settings: ConnectorSettings, clock: Clock) -> IntakeClient:
    """The intake door of procedures, with the connector's own token."""
    if settings.client_key is None:
        raise RuntimeError("TOWN_CONNECTOR_CLIENT_KEY is missing: the connector asks for its token with it")
    tokens = ServiceTokens(
        client_id="service:connector",
        key=SigningKey.load(settings.client_key),
        address=settings.addresses["identity"],
        issuer=settings.issuer,
        clock=clock,
    )
    return IntakeClient(
        connection(settings.addresses["procedures"], total=PACKAGE_SECONDS),
        tokens,
        settings.key("digest_key"),
    )
