"""Encryption to the vault (金庫): what only the MY_NUMBER zone may read leaves clear memory where it first arrives.

Every service of an outer zone holds the vault's *public* key alone. A value encrypted with it cannot be read back by
whoever encrypted it, nor by a backup, a log or a copy of that service's database.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from town_kit.auth.jose import DecryptionKey, PublicKey, TokenRefused, decrypt, encrypt, encryption_key

__all__ = [
    "TokenRefused",
    "VaultKeys",
    "VaultPrivateKey",
    "VaultPublicKey",
    "encrypt",
    "keyed_digest",
    "load_public_key",
    "save_public_key",
]


@dataclass(frozen=True, slots=True)
class VaultPublicKey(PublicKey):
    """The key for which others encrypt; its file is a JWK (RFC 7517)."""

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The key in a JWK document.

        Raises:
            ValueError: the document is no public key on P-256, or holds a private one.
        """
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("a JWK is an object")  # noqa: TRY004 - read from outside
        key = encryption_key(document)
        return cls(key.kid, key.algorithm, key._key)

    def to_json(self) -> str:
        """The key as a JWK document."""
        return json.dumps(self.as_jwk(use="enc"))

    def encrypt(self, plaintext: bytes) -> str:
        """A compact JWE that only the vault opens."""
        return encrypt(plaintext, self)


@dataclass(frozen=True, slots=True)
class VaultPrivateKey(DecryptionKey):
    """The vault's own key; no process of an outer zone can read its file."""

    @classmethod
    def load(cls, path: Path, *, kid: str | None = None) -> Self:
        """The key in the file ``path``, a private JWK or PEM.

        Raises:
            ValueError: no private key on P-256 stands there.
        """
        content = path.read_bytes()
        if content.lstrip().startswith(b"{"):
            return cls.from_jwk(json.loads(content))
        return cls.from_pem(content, kid=kid)

    def to_json(self) -> str:
        """The key as a private JWK document."""
        return json.dumps(self.to_jwk())

    def public_key(self) -> VaultPublicKey:
        """The key to hand out."""
        public = self.public
        return VaultPublicKey(public.kid, public.algorithm, public._key)

    def decrypt(self, token: str) -> bytes:
        """What was encrypted for this key.

        Raises:
            TokenRefused: malformed, for another key, or changed.
        """
        return decrypt(token, {self.kid: self})


class VaultKeys:
    """The vault's keys by kid: the newest encrypts, the older ones still open what was encrypted before."""

    def __init__(self, newest: VaultPrivateKey, *older: VaultPrivateKey) -> None:
        self.newest = newest
        self._by_kid = {key.kid: key for key in (newest, *older)}

    def decrypt(self, token: str) -> bytes:
        """What was encrypted for any of these keys.

        Raises:
            TokenRefused: malformed, for a key not held here, or changed.
        """
        return decrypt(token, self._by_kid)

    def renew(self, token: str) -> str:
        """The same content encrypted for the newest key, so that an older key can be destroyed.

        Raises:
            TokenRefused: as :meth:`decrypt`.
        """
        return self.newest.public_key().encrypt(self.decrypt(token))


def load_public_key(document: str | bytes) -> VaultPublicKey:
    """The vault's public key in a JWK document; see :meth:`VaultPublicKey.from_json`."""
    return VaultPublicKey.from_json(document)


def save_public_key(path: Path, key: PublicKey) -> None:
    """Write the vault's public key as a JWK document, readable by everyone."""
    path.write_text(json.dumps(key.as_jwk(use="enc")))
    path.chmod(0o644)


def keyed_digest(key: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256 of ``content``: the only form in which a hash of what may hold a My Number is stored.

    A plain hash of twelve digits is guessed in hours.
    """
    return hmac.digest(key, content, hashlib.sha256)
