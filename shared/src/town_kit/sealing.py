"""Small secrets in a column: readable only with the service's own key, and only in the row they stand in."""

import os
from collections.abc import Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class ColumnSealer:
    """Seals small secrets under a key derived for one purpose.

    Args:
        key: 32 bytes; the service's key encryption key.
        purpose: what is sealed; another purpose has another key.
        older: keys before it; what they sealed still opens.
    """

    def __init__(self, key: bytes, purpose: str, older: Sequence[bytes] = ()) -> None:
        self._cipher, *self._older = (
            AESGCM(HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(one)) for one in (key, *older)
        )

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """AES-256-GCM; ``context`` binds the result to the row it stands in."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed; raises ``cryptography.exceptions.InvalidTag`` for another row or key."""
        for older in self._older:
            with suppress(InvalidTag):
                return older.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
