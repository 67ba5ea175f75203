"""The public keys and the metadata of the authorisation server."""

from typing import Any

from town_identity.ports import Wired
from town_kit.auth.jose import jwks
from town_kit.routing import TownRouter

router = TownRouter(tags=["トークン"])


@router.get("/.well-known/jwks.json", scope=None, official="RFC 7517")
async def read_jwks(wired: Wired) -> dict[str, Any]:
    """アクセストークンを確かめるための公開鍵。"""
    return jwks(wired.tokens.ring.public.values())


@router.get("/.well-known/oauth-authorization-server", scope=None, official="RFC 8414")
async def read_metadata(wired: Wired) -> dict[str, Any]:
    """認可サーバーの情報。"""
    issuer = wired.tokens.issuer
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "token_endpoint": f"{issuer}/v1/oauth/token",
        "introspection_endpoint": f"{issuer}/v1/oauth/introspect",
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "HS256"],
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_jwt"],
        "scopes_supported": sorted(wired.scopes.every_scope()),
    }
