"""Which counterpart stands behind each port; chosen here and nowhere else."""

from town_identity.clients import ClientRegistry, load_scopes
from town_identity.jpki import AnySource, CrlFolder, JpkiVerifier, Realm, load_anchors, load_profile
from town_identity.keys import AccessTokens, RingKeys
from town_identity.number_links import load_number_link_profile
from town_identity.ports import Ports
from town_identity.sealing import Sealer
from town_identity.settings import IdentitySettings
from town_identity.staff_sessions import StaffDirectory
from town_kit.auth import TokenVerifier
from town_kit.clock import Clock
from town_kit.db import Database


def database(settings: IdentitySettings) -> Database:
    """The database of this service."""
    return Database(settings.database_url.get_secret_value(), pool_size=settings.pool_size, application="identity")


def verifier(settings: IdentitySettings, clock: Clock) -> TokenVerifier:
    """The token check of this service, by its own key ring."""
    return TokenVerifier(issuer=settings.issuer, source=RingKeys(settings.key_ring), clock=clock)


def ports(settings: IdentitySettings, db: Database, clock: Clock) -> Ports:
    """All ports of this service. Raises where a key, an anchor or a profile is missing."""
    folders = {Realm.PRODUCTION: settings.production_anchors}
    if settings.test_anchors is not None:
        folders[Realm.TEST] = settings.test_anchors
    anchors = load_anchors(folders, settings.environment)
    lists = CrlFolder(settings.revocation_lists, anchors, clock, interval=settings.revocation_look_seconds)
    scopes = load_scopes(settings.scopes)
    newest, *older = settings.key_encryption_keys()
    return Ports(
        settings=settings,
        database=db,
        clock=clock,
        anchors=anchors,
        jpki=JpkiVerifier(anchors, load_profile(settings.jpki_profile), AnySource([lists])),
        revocation_lists=lists,
        sealer=Sealer(newest, settings.key("digest_key"), older),
        tokens=AccessTokens(settings.key_ring, settings.issuer, clock),
        clients=ClientRegistry(settings.clients, scopes),
        scopes=scopes,
        number_links=load_number_link_profile(settings.number_link_profile, settings.environment),
        staff=_staff(settings, clock),
    )


def _staff(settings: IdentitySettings, clock: Clock) -> StaffDirectory | None:
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_secret is None or not settings.oidc_client_id or not settings.oidc_redirect_uri:
        raise RuntimeError("TOWN_IDENTITY_OIDC_CLIENT_ID, _CLIENT_SECRET and _REDIRECT_URI are needed")
    return StaffDirectory(
        issuer=settings.oidc_issuer.rstrip("/"),
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        redirect_uri=settings.oidc_redirect_uri,
        clock=clock,
    )
