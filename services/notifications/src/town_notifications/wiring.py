"""Which counterpart stands behind each port; chosen here and nowhere else."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from town_kit.auth import TokenVerifier, key_source
from town_kit.clock import Clock
from town_kit.db import Database
from town_notifications.channels import Channel, ChannelAdapter, Lane
from town_notifications.channels.fcm import FcmChannel
from town_notifications.channels.service_account import ServiceAccount
from town_notifications.channels.smtp import MailServer, SmtpChannel
from town_notifications.ports import Ports, Town
from town_notifications.settings import NotificationsSettings


def database(settings: NotificationsSettings) -> Database:
    """The database of this service."""
    return Database(settings.database_url.get_secret_value(), pool_size=settings.pool_size, application="notifications")


def verifier(settings: NotificationsSettings, clock: Clock) -> TokenVerifier:
    """The token check of this service."""
    return TokenVerifier(issuer=settings.issuer, source=key_source(settings.jwks), clock=clock)


def channels(settings: NotificationsSettings, clock: Clock) -> Mapping[Channel, ChannelAdapter]:
    """The channels that are set up, with connections of their own."""
    found: dict[Channel, ChannelAdapter] = {}
    if settings.fcm_service_account is not None:
        account = ServiceAccount.load(settings.fcm_service_account)
        found[Channel.PUSH] = FcmChannel(
            account, address=settings.fcm_address, token_url=settings.fcm_token_url, clock=clock
        )
    if settings.smtp_address is not None:
        found[Channel.EMAIL] = SmtpChannel(mail_server(settings), clock)
    return found


def mail_server(settings: NotificationsSettings) -> MailServer:
    """The mail server in the settings; ``smtp_address`` has been checked there."""
    parts = urlsplit(settings.smtp_address or "")
    return MailServer(
        host=parts.hostname or "",
        port=parts.port or 0,
        sender=settings.mail_from,
        domain=settings.mail_from.rpartition("@")[2],
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        tls=settings.smtp_tls,
    )


def ports(settings: NotificationsSettings, db: Database, clock: Clock) -> Ports:
    """All ports of this service."""
    return Ports(
        database=db,
        clock=clock,
        town=Town(dict(settings.town_names.items())),
        lanes={lane: channels(settings, clock) for lane in Lane},
        code_key=settings.key("digest_key"),
    )
