"""How a certificate's serial number (発行番号) is kept: found by an HMAC, readable only with the service's own key."""

import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class Sealer:
    """Seals small secrets under a key derived for this purpose, and makes the digests they are found by.

    Args:
        key: 32 bytes; the service's key encryption key.
        digest_key: 32 bytes; a plain hash of a serial number could be guessed in hours.
    """

    def __init__(self, key: bytes, digest_key: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=b"town identity: sealed columns").derive(key))
        self._digest_key = digest_key

    def digest(self, purpose: str, text: str) -> bytes:
        """A keyed digest of ``text`` that is useless for any other purpose."""
        return hmac.digest(self._digest_key, f"{purpose}\0{text}".encode(), "sha256")

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """AES-256-GCM; ``context`` binds the result to the row it stands in."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed; raises ``cryptography.exceptions.InvalidTag`` for another row or key."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
