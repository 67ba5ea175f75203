"""認可サーバー — tokens for vendors and services (RFC 6749, 7523), refresh, introspection (RFC 7662)."""

from town_identity.oauth.assertions import delete_expired

__all__ = ["delete_expired"]
