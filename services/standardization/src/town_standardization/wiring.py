"""Which counterpart stands behind each port; chosen here and nowhere else."""

from uuid import NAMESPACE_URL, uuid5

from town_kit.auth import Principal, Role, ServiceTokens, TokenVerifier, key_source
from town_kit.auth.jose import SigningKey
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.raw_packages import load_profile
from town_kit.vaulting import VaultKeys, VaultPrivateKey
from town_standardization.adapters import Registry, shipped
from town_standardization.addressees import NumberPolicy
from town_standardization.my_numbers import Vault
from town_standardization.neighbours import Identity, Packages, Procedures, neighbour
from town_standardization.ports import Ports
from town_standardization.settings import StandardizationSettings

CLIENT_ID = "service:standardization"


def database(settings: StandardizationSettings) -> Database:
    """The database of this service."""
    return Database(
        settings.database_url.get_secret_value(), pool_size=settings.pool_size, application="standardization"
    )


def verifier(settings: StandardizationSettings, clock: Clock) -> TokenVerifier:
    """The token check of this service."""
    return TokenVerifier(issuer=settings.issuer, source=key_source(settings.jwks), clock=clock)


def adapters(settings: StandardizationSettings) -> Registry:
    """The adapters in use.

    Raises:
        RuntimeError: the settings name one that is not shipped.
    """
    wanted = settings.adapters
    unknown = set(wanted or ()) - {adapter.name for adapter in shipped()}
    if unknown:
        raise RuntimeError(f"TOWN_STANDARDIZATION_ADAPTERS names unknown adapters: {', '.join(sorted(unknown))}")
    return Registry([adapter for adapter in shipped() if wanted is None or adapter.name in wanted])


def vault(settings: StandardizationSettings) -> Vault:
    """The vault with its keys."""
    newest = VaultPrivateKey.load(settings.vault_private_key)
    older = [VaultPrivateKey.load(path) for path in settings.vault_older_keys]
    wrapping, *wrapped_before = settings.key_encryption_keys()
    return Vault(
        VaultKeys(newest, *older),
        key_encryption_key=wrapping,
        digest_key=settings.key("digest_key"),
        older_key_encryption_keys=wrapped_before,
    )


def tokens(settings: StandardizationSettings, clock: Clock) -> ServiceTokens:
    """With which this service asks its neighbours."""
    if settings.client_key is None:
        raise RuntimeError("TOWN_STANDARDIZATION_CLIENT_KEY is missing: procedures and identity are asked with it")
    return ServiceTokens(
        client_id=CLIENT_ID,
        key=SigningKey.load(settings.client_key),
        address=settings.addresses["identity"],
        issuer=settings.issuer,
        clock=clock,
    )


def ports(
    settings: StandardizationSettings,
    db: Database,
    clock: Clock,
) -> Ports:
    """All ports of this service."""
    asking = tokens(settings, clock)
    identity = neighbour("identity", settings.addresses["identity"], asking)
    procedures = neighbour("procedures", settings.addresses["procedures"], asking)
    applications = Procedures(procedures)
    return Ports(
        database=db,
        clock=clock,
        adapters=adapters(settings),
        applications=applications,
        texts=applications,
        persons=Identity(identity),
        packages=Packages(procedures),
        package_profile=load_profile(settings.package_profile),
        vault=vault(settings),
        clients=(identity, procedures),
        numbering=NumberPolicy(
            addressee_first=settings.addressee_number_first,
            integrated_first=settings.integrated_number_first,
            width=settings.addressee_number_width,
            zero_padded=settings.addressee_number_zero_padded,
        ),
        municipality_code=settings.municipality_code,
        drop_folder=settings.drop_folder,
        principal=Principal(uuid5(NAMESPACE_URL, f"urn:town:client:{CLIENT_ID}"), Role.SERVICE, CLIENT_ID, frozenset()),
    )
