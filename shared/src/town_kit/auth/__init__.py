"""Who is asking and what the token says: principals, access tokens, tokens between services."""

from town_kit.auth.principal import RESIDENT, SERVICE, STAFF, VENDOR, Principal, Role
from town_kit.auth.service_tokens import ServiceTokens
from town_kit.auth.tokens import AUDIENCE, TokenVerifier, key_source

__all__ = [
    "AUDIENCE",
    "RESIDENT",
    "SERVICE",
    "STAFF",
    "VENDOR",
    "Principal",
    "Role",
    "ServiceTokens",
    "TokenVerifier",
    "key_source",
]
