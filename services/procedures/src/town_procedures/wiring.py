"""Which counterpart stands behind each port; chosen here and nowhere else."""

from pathlib import Path

from town_kit.auth import ServiceTokens, TokenVerifier, key_source
from town_kit.auth.jose import SigningKey
from town_kit.blobs import PostgresBlobs
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.jp import BusinessDays
from town_kit.raw_packages import load_profile
from town_kit.vaulting import load_public_key
from town_procedures.catalogue import load_catalogue
from town_procedures.ports import Ports, SignatureVerifier
from town_procedures.settings import ProceduresSettings
from town_procedures.signatures import IdentitySignatures

SHIPPED = Path(__file__).parent / "catalogue"


def database(settings: ProceduresSettings) -> Database:
    """The database of this service."""
    return Database(settings.database_url.get_secret_value(), pool_size=settings.pool_size, application="procedures")


def verifier(settings: ProceduresSettings, clock: Clock) -> TokenVerifier:
    """The token check of this service."""
    return TokenVerifier(issuer=settings.issuer, source=key_source(settings.jwks), clock=clock)


def signatures(settings: ProceduresSettings, clock: Clock) -> SignatureVerifier:
    """Identity, over the address in the settings."""
    if settings.client_key is None:
        raise RuntimeError("TOWN_PROCEDURES_CLIENT_KEY is missing: procedures asks identity with it")
    address = settings.addresses["identity"]
    key = SigningKey.load(settings.client_key)
    tokens = ServiceTokens(
        client_id="service:procedures", key=key, address=address, issuer=settings.issuer, clock=clock
    )
    return IdentitySignatures(address, tokens)


def ports(
    settings: ProceduresSettings, db: Database, clock: Clock, *, signature_verifier: SignatureVerifier | None = None
) -> Ports:
    """All ports of this service."""
    vault = load_public_key(settings.vault_public_key.read_bytes())
    newest, *older = settings.key_encryption_keys()
    return Ports(
        database=db,
        catalogue=load_catalogue(settings.catalogue or SHIPPED),
        signatures=signature_verifier or signatures(settings, clock),
        vault=vault,
        blobs=PostgresBlobs(key=newest, older_keys=older, vault=vault),
        calendar=BusinessDays(closed=settings.closed_days),
        clock=clock,
        digest_key=settings.key("digest_key"),
        municipality_code=settings.municipality_code,
        packages=load_profile(settings.package_profile),
    )
