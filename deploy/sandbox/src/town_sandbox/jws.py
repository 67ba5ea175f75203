"""Compact JWS (RFC 7515) of the outside parties: they share no token code with the town, so a mistake shows."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def base64url(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign_hs256(claims: Mapping[str, Any], secret: str) -> str:
    """A JWT under a shared secret, as ``client_secret_jwt`` wants it (OpenID Connect Core, section 9)."""
    signed = _signed_part({"alg": "HS256", "typ": "JWT"}, claims)
    return f"{signed}.{base64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def sign_es256(claims: Mapping[str, Any], key_pem: str) -> str:
    """A JWT under an ES256 key, with its ``kid``."""
    key = _load(key_pem)
    signed = _signed_part({"alg": "ES256", "typ": "JWT", "kid": public_jwk(key_pem)["kid"]}, claims)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def public_jwk(key_pem: str) -> dict[str, str]:
    """The public half as a JWK; its ``kid`` is the thumbprint (RFC 7638)."""
    numbers = _load(key_pem).public_key().public_numbers()
    required = {
        "crv": "P-256",
        "kty": "EC",
        "x": base64url(numbers.x.to_bytes(32, "big")),
        "y": base64url(numbers.y.to_bytes(32, "big")),
    }
    thumbprint = hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return required | {"kid": base64url(thumbprint), "use": "sig", "alg": "ES256"}


def _load(key_pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _signed_part(header: Mapping[str, str], claims: Mapping[str, Any]) -> str:
    return ".".join(base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
