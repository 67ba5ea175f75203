"""署名鍵 — the key ring that signs access tokens, and the public keys everybody checks them with (RFC 7517)."""

from town_identity.keys.access_tokens import AccessTokens, IssuedToken
from town_identity.keys.ring import KeyRing, KeyState, RingKeys, create_ring, is_half_way, rotate

__all__ = ["AccessTokens", "IssuedToken", "KeyRing", "KeyState", "RingKeys", "create_ring", "is_half_way", "rotate"]
