"""Client authentication by a signed assertion (RFC 7523): by a key, or by a shared secret where a standard wants it.

庁内データ連携 wants ``client_secret_jwt`` with HS256; everybody else uses ``private_key_jwt`` with ES256.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.clients import Client, ClientRegistry, Method
from town_identity.oauth.models import ClientAssertion
from town_kit.auth.jose import TokenRefused, unverified_claims, verify, verify_with_secret
from town_kit.db import Database

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_SECONDS = 300
_CLAIMS = ("iss", "sub", "aud", "exp", "jti")


def check_assertion(
    form: Mapping[str, str], clients: ClientRegistry, audiences: frozenset[str], now: datetime
) -> tuple[Client, dict[str, Any]] | None:
    """The client whose assertion stands in the form, and its claims; None when it does not hold."""
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        return None
    assertion = form.get("client_assertion", "")
    try:
        client = clients.find(str(unverified_claims(assertion).get("iss", "")))
        if client is None:
            return None
        claims = _verified(assertion, client, now)
    except TokenRefused:
        return None
    named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    right = claims["sub"] == client.client_id and form.get("client_id", client.client_id) == client.client_id
    soon, jti = claims["exp"] <= now.timestamp() + LONGEST_SECONDS, str(claims["jti"])
    storable = len(jti) <= 200 and jti.isprintable()  # PostgreSQL has no value for NUL and half a character
    return (client, claims) if right and soon and storable and audiences.intersection(map(str, named)) else None


async def use_once(session: AsyncSession, client: Client, claims: Mapping[str, Any]) -> bool:
    """Mark an assertion as used; False when it was used before."""
    row = {
        "client_id": client.client_id,
        "jti": str(claims["jti"]),
        "expires_at": datetime.fromtimestamp(float(claims["exp"]), UTC),
    }
    statement = insert(ClientAssertion).values(row).on_conflict_do_nothing().returning(ClientAssertion.jti)
    return (await session.execute(statement)).one_or_none() is not None


async def delete_expired(database: Database, at: datetime) -> int:
    """Remove assertions that no longer count anyway; answers 0, for there is never a hurry."""
    async with database.begin() as session:
        long_gone = at - timedelta(seconds=LONGEST_SECONDS)
        await session.execute(delete(ClientAssertion).where(ClientAssertion.expires_at < long_gone))
    return 0


def _verified(assertion: str, client: Client, now: datetime) -> dict[str, Any]:
    if client.method is Method.CLIENT_SECRET_JWT:
        assert client.secret is not None
        secret = client.secret.get_secret_value()
        return verify_with_secret(
            assertion, secret, typ={"JWT", ""}, issuer=client.client_id, audience=None, now=now, required=_CLAIMS
        )
    return verify(
        assertion, client.keys, typ={"JWT", ""}, issuer=client.client_id, audience=None, now=now, required=_CLAIMS
    )
