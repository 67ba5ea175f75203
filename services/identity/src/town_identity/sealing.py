"""How a certificate's serial number (発行番号) is kept: found by an HMAC, readable only with the service's own key."""

import hmac
from collections.abc import Sequence

from town_kit.sealing import ColumnSealer


class Sealer(ColumnSealer):
    """Seals small secrets under a key derived for this purpose, and makes the digests they are found by.

    Args:
        key: 32 bytes; the service's key encryption key.
        older: keys before it; what they sealed still opens.
        digest_key: 32 bytes; a plain hash of a serial number could be guessed in hours.
    """

    def __init__(self, key: bytes, digest_key: bytes, older: Sequence[bytes] = ()) -> None:
        super().__init__(key, "town identity: sealed columns", older)
        self._digest_key = digest_key

    def digest(self, purpose: str, text: str) -> bytes:
        """A keyed digest of ``text`` that is useless for any other purpose."""
        return hmac.digest(self._digest_key, f"{purpose}\0{text}".encode(), "sha256")
