"""The vault's keys at work: opening what was encrypted to it, sealing a number field by field, finding by HMAC.

Each number is sealed with AES-256-GCM under a key of its own, which is wrapped with the key encryption key; its row's
id is bound in, so that a sealed number does not open in another row. The search index is an HMAC under a separate key.
"""

import hmac
import os
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from town_kit.jp import MyNumber
from town_kit.vaulting import TokenRefused, VaultKeys

_NONCE = 12


class NumberRefused(Exception):
    """What was given does not open, or opens to no My Number; nothing of it is told."""


class Vault:
    """The My Number vault.

    Args:
        keys: private keys to which outer zones encrypt.
        key_encryption_key: 32 bytes; the wrapping key is derived from it for this use alone.
        digest_key: 32 bytes; the index key is derived from it for this use alone.
        older_key_encryption_keys: what wrapped before a change of keys, until every row is wrapped anew.
    """

    def __init__(
        self,
        keys: VaultKeys,
        *,
        key_encryption_key: bytes,
        digest_key: bytes,
        older_key_encryption_keys: Sequence[bytes] = (),
    ) -> None:
        self.keys = keys
        self._wrapping, *self._older = (
            AESGCM(_derived(key, b"my-number field keys")) for key in (key_encryption_key, *older_key_encryption_keys)
        )
        self._index = _derived(digest_key, b"my-number search index")

    def open(self, token: str) -> MyNumber:
        """The number that was encrypted to the vault. The caller writes the audit record of the opening.

        Raises:
            NumberRefused: it is not for the vault, was changed, or is no My Number.
        """
        try:
            return MyNumber.parse(self.keys.decrypt(token).decode("ascii"))
        except (TokenRefused, ValueError):
            raise NumberRefused from None

    def open_text(self, token: str) -> str:
        """The free text that was encrypted to the vault. The caller writes the audit record of the opening first.

        Raises:
            NumberRefused: it is not for the vault, or was changed.
        """
        try:
            return self.keys.decrypt(token).decode()
        except (TokenRefused, ValueError):
            raise NumberRefused from None

    def seal(self, row: UUID, number: MyNumber) -> tuple[bytes, bytes]:
        """Wrapped key and sealed number for the row with that id."""
        key, first, second = AESGCM.generate_key(256), os.urandom(_NONCE), os.urandom(_NONCE)
        wrapped = first + self._wrapping.encrypt(first, key, row.bytes)
        return wrapped, second + AESGCM(key).encrypt(second, number.reveal().encode(), row.bytes)

    def unseal(self, row: UUID, wrapped: bytes, sealed: bytes) -> MyNumber:
        """The number of a row. The caller writes the audit record of the opening.

        Raises:
            NumberRefused: the row is not what was written.
        """
        try:
            return MyNumber.parse(
                AESGCM(self._unwrap(row, wrapped)).decrypt(sealed[:_NONCE], sealed[_NONCE:], row.bytes).decode("ascii")
            )
        except (InvalidTag, ValueError):
            raise NumberRefused from None

    def rewrap(self, row: UUID, wrapped: bytes) -> bytes | None:
        """The row's key under the newest key encryption key, None if it is already; the number itself stays closed.

        Raises:
            NumberRefused: no key held here opens it.
        """
        with suppress(InvalidTag):
            self._wrapping.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], row.bytes)
            return None
        nonce = os.urandom(_NONCE)
        try:
            return nonce + self._wrapping.encrypt(nonce, self._unwrap(row, wrapped), row.bytes)
        except InvalidTag:
            raise NumberRefused from None

    def _unwrap(self, row: UUID, wrapped: bytes) -> bytes:
        for one in self._older:
            with suppress(InvalidTag):
                return one.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], row.bytes)
        return self._wrapping.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], row.bytes)

    def digest(self, number: MyNumber) -> bytes:
        """The index value of a number: exact match only."""
        return hmac.digest(self._index, number.reveal().encode(), "sha256")


def _derived(key: bytes, purpose: bytes) -> bytes:
    if len(key) != 32:
        raise ValueError("a key of the vault has 32 bytes")
    return HKDF(SHA256(), 32, None, b"town-vault " + purpose).derive(key)
