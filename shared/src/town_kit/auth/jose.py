"""Signed and encrypted tokens (RFC 7515, 7516, 7517, 7519) by strict rules; the only module that imports joserfc.

A library checks a signature; it does not ask whether a header names one member twice, whether a token carries the key
it is to be checked with, or whether it ever ends. Those questions are asked here, before and after the library.
"""

import binascii
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from town_kit.auth.token_rules import (
    FORBIDDEN_HEADERS,
    HEADER_LIMIT,
    KEY_ID,
    TokenRefused,
    check_claims,
    check_header,
    json_object,
    key_id,
    parts,
)

__all__ = [
    "DecryptionKey",
    "PrivateKey",
    "PublicKey",
    "SigningKey",
    "TokenRefused",
    "decrypt",
    "encrypt",
    "encryption_key",
    "generate_signing_key",
    "jwks",
    "parse_jwk",
    "parse_jwks",
    "sign",
    "sign_with_secret",
    "unverified_claims",
    "verify",
    "verify_with_secret",
]

RSA_BITS_AT_LEAST = 2048
SECRET_BYTES_AT_LEAST = 32
REQUIRED_CLAIMS = ("iss", "aud", "exp", "iat", "jti")
SIGNATURE_ALGORITHMS = frozenset({"ES256", "PS256", "RS256"})

_KEY_MANAGEMENT = "ECDH-ES+A256KW"
_CONTENT_ENCRYPTION = "A256GCM"
_JWS_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: its id, and the algorithm it is used with (``ES256``, ``PS256``, ``RS256``, or key agreement)."""

    kid: str
    algorithm: str
    _key: ECKey | RSAKey = field(repr=False)

    def as_jwk(self, *, use: str = "sig") -> dict[str, Any]:
        """The JWK (RFC 7517), public members only."""
        members = {k: v for k, v in self._key.as_dict(private=False).items() if k not in {"kid", "alg", "use"}}
        return members | {"kid": self.kid, "alg": self.algorithm, "use": use}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A P-256 private key with the id under which its public half is known (RFC 7638 thumbprint unless named)."""

    kid: str
    _key: ECKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        key = ECKey.generate_key("P-256")
        return cls(key.thumbprint(), key)

    @classmethod
    def from_pem(cls, pem: bytes, *, kid: str | None = None) -> Self:
        """The key in a PEM file.

        Raises:
            ValueError: no P-256 private key stands there, or ``kid`` has another form.
        """
        try:
            key = ECKey.import_key(pem)
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError("no elliptic curve key in PEM") from error
        if not key.is_private or key.curve_name != "P-256":
            raise ValueError("the key must be a private key on P-256")
        return cls(_valid_kid(kid or key.thumbprint()), key)

    @classmethod
    def from_jwk(cls, member: Mapping[str, Any]) -> Self:
        """The key in a private JWK.

        Raises:
            ValueError: it is no private key on P-256, or its kid has another form.
        """
        try:
            key = ECKey.import_key(dict(member))
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError("no elliptic curve key in JWK") from error
        if not key.is_private or key.curve_name != "P-256":
            raise ValueError("the key must be a private key on P-256")
        return cls(_valid_kid(member.get("kid") or key.thumbprint()), key)

    @classmethod
    def load(cls, path: Path, *, kid: str | None = None) -> Self:
        """The key in the PEM file ``path``."""
        return cls.from_pem(path.read_bytes(), kid=kid)

    def to_pem(self) -> bytes:
        """The key as PEM (PKCS #8, unencrypted)."""
        return self._key.as_pem(private=True)

    def to_jwk(self) -> dict[str, Any]:
        """The key as a private JWK."""
        return {**self._key.as_dict(private=True), "kid": self.kid}

    def save(self, path: Path) -> None:
        """Write the PEM file, readable by its owner alone; an existing file is never replaced."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.to_pem())

    def _public(self, algorithm: str) -> PublicKey:
        return PublicKey(self.kid, algorithm, ECKey.import_key(self._key.as_pem(private=False)))


@dataclass(frozen=True, slots=True)
class SigningKey(PrivateKey):
    """A key that signs with ES256."""

    @property
    def public(self) -> PublicKey:
        """The key with which others check."""
        return self._public("ES256")


@dataclass(frozen=True, slots=True)
class DecryptionKey(PrivateKey):
    """A key for which others encrypt (ECDH-ES+A256KW)."""

    @property
    def public(self) -> PublicKey:
        """The key for which others encrypt."""
        return self._public(_KEY_MANAGEMENT)


def generate_signing_key() -> SigningKey:
    """A new ES256 key."""
    return SigningKey.generate()


def sign(claims: Mapping[str, Any], key: SigningKey, typ: str) -> str:
    """A compact JWS over ``claims`` with ``typ`` in its header, signed with ES256."""
    header = {"alg": "ES256", "typ": typ, "kid": key.kid}
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
    return jws.serialize_compact(header, payload, key._key, algorithms=["ES256"])


def verify(
    token: str,
    keys: Mapping[str, PublicKey],
    *,
    typ: str | Collection[str],
    issuer: str | None,
    audience: str | None,
    now: datetime,
    leeway: int = 10,
    algorithms: Collection[str] = ("ES256",),
    required: Iterable[str] = REQUIRED_CLAIMS,
) -> dict[str, Any]:
    """The claims of a signed token, or a refusal.

    Args:
        token: the compact form.
        keys: the keys that count, by kid; nothing a token carries is ever used as a key.
        typ: the value or values allowed for ``typ``; the empty string allows a header without one.
        issuer: what ``iss`` must be; None leaves it to the caller, who reads it from the claims.
        audience: what ``aud`` must be or contain; None leaves it to the caller.
        now: the moment of judgement.
        leeway: seconds by which ``iat`` and ``nbf`` may lie ahead and ``exp`` behind.
        algorithms: the allow-list, out of ES256, PS256 and RS256.
        required: claims that must be there; ``nbf`` is judged when it is there.

    Raises:
        TokenRefused: with the reason's code.
    """
    header, claims = parts(token)
    check_header(header, typ, SIGNATURE_ALGORITHMS.intersection(algorithms))
    key = keys.get(key_id(header))
    if key is None:
        raise TokenRefused("unknown-key")
    if key.algorithm != header["alg"]:
        raise TokenRefused("algorithm")
    _check_signature(token, key._key, header["alg"])
    check_claims(claims, issuer, audience, now, leeway, required)
    return claims


def verify_with_secret(
    token: str,
    secret: bytes,
    *,
    typ: str | Collection[str],
    issuer: str | None,
    audience: str | None,
    now: datetime,
    leeway: int = 10,
    required: Iterable[str] = REQUIRED_CLAIMS,
) -> dict[str, Any]:
    """The claims of a token signed with a shared secret (HS256), as ``client_secret_jwt`` uses it.

    Arguments and refusals are those of :func:`verify`; no other algorithm is ever tried with the secret.

    Raises:
        ValueError: the secret is shorter than 32 bytes (RFC 7518 §3.2).
        TokenRefused: with the reason's code.
    """
    if len(secret) < SECRET_BYTES_AT_LEAST:
        raise ValueError("a shared secret needs at least 32 bytes")
    header, claims = parts(token)
    check_header(header, typ, frozenset({"HS256"}))
    _check_signature(token, OctKey.import_key(secret), "HS256")
    check_claims(claims, issuer, audience, now, leeway, required)
    return claims


def sign_with_secret(claims: Mapping[str, Any], secret: bytes, typ: str) -> str:
    """A compact JWS over ``claims``, signed with HS256.

    Raises:
        ValueError: the secret is shorter than 32 bytes.
    """
    if len(secret) < SECRET_BYTES_AT_LEAST:
        raise ValueError("a shared secret needs at least 32 bytes")
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
    header = {"alg": "HS256", "typ": typ}
    return jws.serialize_compact(header, payload, OctKey.import_key(secret), algorithms=["HS256"])


def unverified_claims(token: str) -> dict[str, Any]:
    """What a token claims before anything is checked; only to find out whose key to check it with.

    Raises:
        TokenRefused: the token is not even well formed.
    """
    return parts(token)[1]


def jwks(keys: Iterable[PublicKey]) -> dict[str, Any]:
    """The JWKS document (RFC 7517 §5) of public keys."""
    return {"keys": [key.as_jwk() for key in keys]}


def parse_jwks(document: Mapping[str, Any]) -> dict[str, PublicKey]:
    """The signature keys of a JWKS document by kid. Keys for encryption and of unknown kinds are passed over.

    Raises:
        ValueError: the document is no JWKS, holds a private key, names a kid twice, or a key is too weak.
    """
    members = document.get("keys")
    if not isinstance(members, Sequence) or isinstance(members, (str, bytes)):
        raise ValueError("the document is no JWKS")  # noqa: TRY004 - read from outside: its content is wrong, not its type here
    found: dict[str, PublicKey] = {}
    for member in members:
        key = parse_jwk(member)
        if key is None:
            continue
        if key.kid in found:
            raise ValueError("two keys share one kid")
        found[key.kid] = key
    return found


def parse_jwk(member: Any) -> PublicKey | None:
    """One public signature key, or None when it is of a kind that is not used here.

    Raises:
        ValueError: it is private, malformed, or too weak.
    """
    if not isinstance(member, Mapping):
        raise ValueError("a key must be an object")  # noqa: TRY004 - as above
    if _JWS_PRIVATE_MEMBERS & member.keys():
        raise ValueError("a JWKS must not hold private keys")
    algorithm = member.get("alg") or ("ES256" if member.get("crv") == "P-256" else "RS256")
    if member.get("use", "sig") != "sig" or algorithm not in SIGNATURE_ALGORITHMS:
        return None
    try:
        if member.get("kty") == "EC" and member.get("crv") == "P-256" and algorithm == "ES256":
            curve = ECKey.import_key(dict(member))
            return PublicKey(_valid_kid(member.get("kid") or curve.thumbprint()), algorithm, curve)
        if member.get("kty") == "RSA" and algorithm != "ES256":
            modulus = RSAKey.import_key(dict(member))
            if modulus.raw_value.key_size < RSA_BITS_AT_LEAST:
                raise ValueError("an RSA key needs at least 2048 bits")
            return PublicKey(_valid_kid(member.get("kid") or modulus.thumbprint()), algorithm, modulus)
    except (JoseError, TypeError, binascii.Error) as error:
        raise ValueError("a key cannot be read") from error
    return None


def encryption_key(member: Mapping[str, Any]) -> PublicKey:
    """The public key on P-256 in a JWK, for :func:`encrypt`.

    Raises:
        ValueError: it is private, malformed, or on another curve.
    """
    if _JWS_PRIVATE_MEMBERS & member.keys():
        raise ValueError("a public key must not hold private members")
    try:
        key = ECKey.import_key(dict(member))
    except (JoseError, TypeError, binascii.Error) as error:
        raise ValueError("a key cannot be read") from error
    if key.curve_name != "P-256":
        raise ValueError("the key must be on P-256")
    return PublicKey(_valid_kid(member.get("kid") or key.thumbprint()), _KEY_MANAGEMENT, key)


def encrypt(plaintext: bytes, key: PublicKey) -> str:
    """A compact JWE (ECDH-ES+A256KW on P-256, A256GCM) that only the holder of the private key opens."""
    header = {"alg": _KEY_MANAGEMENT, "enc": _CONTENT_ENCRYPTION, "kid": key.kid}
    return jwe.encrypt_compact(header, plaintext, key._key, algorithms=[_KEY_MANAGEMENT, _CONTENT_ENCRYPTION])


def decrypt(token: str, keys: Mapping[str, DecryptionKey]) -> bytes:
    """What was encrypted for one of ``keys``; compressed content is refused.

    Raises:
        TokenRefused: the token is malformed, for another key, or was changed.
    """
    if not token.isascii() or token.count(".") != 4:
        raise TokenRefused("malformed")
    header = json_object(token.split(".", 1)[0], HEADER_LIMIT, "header")
    if header.get("alg") != _KEY_MANAGEMENT or header.get("enc") != _CONTENT_ENCRYPTION:
        raise TokenRefused("algorithm")
    if (FORBIDDEN_HEADERS | {"zip"}) & header.keys():
        raise TokenRefused("forbidden-header")
    key = keys.get(key_id(header))
    if key is None:
        raise TokenRefused("unknown-key")
    try:
        opened = jwe.decrypt_compact(token, key._key, algorithms=[_KEY_MANAGEMENT, _CONTENT_ENCRYPTION])
    except (JoseError, ValueError, TypeError, KeyError):
        raise TokenRefused("decryption") from None
    if opened.plaintext is None:
        raise TokenRefused("decryption")
    return opened.plaintext


def _valid_kid(kid: Any) -> str:
    if not isinstance(kid, str) or not KEY_ID.match(kid):
        raise ValueError("a kid has 1 to 64 of A-Z a-z 0-9 _ -")
    return kid


def _check_signature(token: str, key: ECKey | RSAKey | OctKey, algorithm: str) -> None:
    try:
        jws.deserialize_compact(token, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError):
        raise TokenRefused("signature") from None
