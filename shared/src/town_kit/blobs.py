"""Files (attachments, evidence, PDFs) as encrypted chunks in a table of the database that owns them.

Each blob has a key of its own. It is wrapped either for this service or, where a My Number may show, for the vault
alone: then not even the service that stored the file can read it, and hands it on as it lies (:meth:`export`).
Chunks of 256 KiB are sealed with AES-256-GCM; blob id, index and a last-flag stand in nonce and associated data, so
that a chunk which is missing, moved, repeated or from another blob does not open.
"""

import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, cast
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth.jose import TokenRefused
from town_kit.clock import Clock
from town_kit.db.engine import Database
from town_kit.ids import new_id
from town_kit.service import Job
from town_kit.vaulting import VaultKeys, VaultPrivateKey, VaultPublicKey, keyed_digest

CHUNK = 256 * 1024
KEEP_UNREFERENCED = timedelta(hours=24)
SEALED_MEDIA_TYPE = "application/vnd.town.sealed-blob"
_TAG = 16
_HEADER_LIMIT = 8192

DDL = (
    """CREATE TABLE blobs (
         id uuid PRIMARY KEY, owner text NOT NULL, media_type text NOT NULL, size bigint NOT NULL,
         digest bytea NOT NULL, recipient text NOT NULL CHECK (recipient IN ('service', 'vault')),
         wrapped_key bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), referenced_at timestamptz)""",
    "CREATE INDEX blobs_unreferenced ON blobs (created_at) WHERE referenced_at IS NULL",
    """CREATE TABLE blob_chunks (
         blob_id uuid NOT NULL REFERENCES blobs (id) ON DELETE CASCADE, n int NOT NULL, data bytea NOT NULL,
         PRIMARY KEY (blob_id, n))""",
    "ALTER TABLE blob_chunks ALTER COLUMN data SET STORAGE EXTERNAL",
)
_ADD = text(
    "INSERT INTO blobs (id, owner, media_type, size, digest, recipient, wrapped_key)"
    " VALUES (:id, :owner, :media_type, 0, '', :recipient, :wrapped_key)"
)
_ADD_CHUNK = text("INSERT INTO blob_chunks (blob_id, n, data) VALUES (:id, :n, :data)")
_COMPLETE = text("UPDATE blobs SET size = :size, digest = :digest WHERE id = :id")
_INFO = text(
    "SELECT id, owner, media_type, size, digest, recipient, wrapped_key, referenced_at FROM blobs WHERE id = :id"
)
_CHUNK = text("SELECT data FROM blob_chunks WHERE blob_id = :id AND n = :n")
_REFERENCE = text("UPDATE blobs SET referenced_at = coalesce(referenced_at, now()) WHERE id = ANY(:ids)")
_REMOVE = text("DELETE FROM blobs WHERE id = :id")
_SWEEP = text(
    "DELETE FROM blobs WHERE id IN (SELECT id FROM blobs WHERE referenced_at IS NULL AND created_at < :before"
    " ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED)"
)


class Recipient(StrEnum):
    """Who can read a blob."""

    SERVICE = "service"
    VAULT = "vault"


class BlobDamaged(Exception):
    """A blob's bytes are not those that were written: changed, cut off, reordered, or another key's."""


class BlobMissing(LookupError):
    """There is no such blob."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a blob; ``digest`` is an HMAC-SHA-256 over its bytes."""

    id: UUID
    owner: str
    media_type: str
    size: int
    digest: bytes
    recipient: Recipient
    wrapped_key: bytes
    referenced_at: datetime | None

    @property
    def chunks(self) -> int:
        """The number of chunks; an empty blob has one."""
        return max(1, -(-self.size // CHUNK))


class BlobStore(Protocol):
    """Where files are kept; the PostgreSQL store is :class:`PostgresBlobs`."""

    async def write(
        self,
        session: AsyncSession,
        content: AsyncIterator[bytes],
        *,
        owner: str,
        media_type: str,
        recipient: Recipient = Recipient.VAULT,
    ) -> UUID:
        """Store ``content`` in the session's transaction; the new blob's id."""
        ...

    async def info(self, session: AsyncSession, blob_id: UUID) -> Blob:
        """What is known of a blob. Raises :class:`BlobMissing`."""
        ...

    async def reference(self, session: AsyncSession, *blob_ids: UUID) -> None:
        """Say that something holds these blobs; what nothing holds is removed after 24 hours."""
        ...

    def read(self, session: AsyncSession, blob: Blob) -> AsyncIterator[bytes]:
        """The bytes, in the session's transaction. Raises :class:`BlobDamaged`."""
        ...

    def download(self, begin: "Begin", blob: Blob) -> AsyncIterator[bytes]:
        """The bytes for an answer that streams. Raises :class:`BlobDamaged`."""
        ...

    def export(self, begin: "Begin", blob: Blob) -> AsyncIterator[bytes]:
        """The blob as it lies, still encrypted, for its recipient to open."""
        ...

    async def remove(self, session: AsyncSession, blob_id: UUID) -> None:
        """Delete a blob."""
        ...

    def rewrap(self, blob_id: UUID, wrapped: bytes) -> bytes | None:
        """A blob's key under the newest key, None if it is already. Raises :class:`BlobDamaged`."""
        ...


class Begin(Protocol):
    """Opens a short transaction with the principal set, once per chunk."""

    def __call__(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A new transaction."""
        ...


class PostgresBlobs:
    """Blobs in the tables ``blobs`` and ``blob_chunks`` of the session's database.

    Args:
        key: the key encryption key of the service, 32 bytes.
        older_keys: keys that still unwrap what was written before a change of keys.
        vault: the vault's public key; without it nothing can be written for the vault.
        vault_keys: the vault's private keys; in the MY_NUMBER zone only.
    """

    def __init__(
        self,
        *,
        key: bytes,
        older_keys: Sequence[bytes] = (),
        vault: VaultPublicKey | None = None,
        vault_keys: VaultKeys | VaultPrivateKey | None = None,
    ) -> None:
        if any(len(one) != 32 for one in (key, *older_keys)):
            raise ValueError("a key encryption key has 32 bytes")
        self._keys = (key, *older_keys)
        self._digest_key = keyed_digest(key, b"blob digest")
        self._vault = vault
        self._vault_keys = vault_keys

    async def write(
        self,
        session: AsyncSession,
        content: AsyncIterator[bytes],
        *,
        owner: str,
        media_type: str,
        recipient: Recipient = Recipient.VAULT,
    ) -> UUID:
        """Store ``content`` in the session's transaction; the new blob's id.

        Stream an upload to a temporary file first: the transaction must not wait for a slow sender.

        Args:
            session: an open transaction.
            content: the bytes, in pieces of any size.
            owner: the kind of thing the file belongs to, e.g. ``attachments``.
            media_type: as found out by looking at the bytes, not as claimed.
            recipient: who can read it; the vault unless said otherwise.

        Raises:
            ValueError: for the vault, but its key is not configured.
        """
        blob_id, key = new_id(), AESGCM.generate_key(256)
        wrapped = self._wrap(blob_id, key, recipient)
        await session.execute(
            _ADD,
            {"id": blob_id, "owner": owner, "media_type": media_type, "recipient": recipient, "wrapped_key": wrapped},
        )
        sealer, digest, size, n = AESGCM(key), hmac.new(self._digest_key, digestmod=hashlib.sha256), 0, 0
        async for piece, last in _in_chunks(content):
            digest.update(piece)
            size += len(piece)
            nonce, bound = _binding(blob_id, n, last)
            sealed = sealer.encrypt(nonce, piece, bound)
            await session.execute(_ADD_CHUNK, {"id": blob_id, "n": n, "data": sealed})
            n += 1
        await session.execute(_COMPLETE, {"id": blob_id, "size": size, "digest": digest.digest()})
        return blob_id

    async def info(self, session: AsyncSession, blob_id: UUID) -> Blob:
        """What is known of a blob.

        Raises:
            BlobMissing: there is none.
        """
        row = (await session.execute(_INFO, {"id": blob_id})).mappings().one_or_none()
        if row is None:
            raise BlobMissing
        return Blob(**{**row, "recipient": Recipient(row["recipient"])})

    async def read(self, session: AsyncSession, blob: Blob) -> AsyncIterator[bytes]:
        """The bytes, in the session's transaction.

        Raises:
            BlobDamaged: they are not those that were written, or this process does not hold the key.
        """
        opener = AESGCM(self._unwrap(blob.id, blob.wrapped_key, blob.recipient))
        for n in range(blob.chunks):
            yield _open_chunk(opener, blob.id, n, n == blob.chunks - 1, await _chunk(session, blob.id, n))

    async def download(self, begin: Begin, blob: Blob) -> AsyncIterator[bytes]:
        """As :meth:`read`, for an answer that streams: a transaction per chunk, so that no slow reader holds one."""
        opener = AESGCM(self._unwrap(blob.id, blob.wrapped_key, blob.recipient))
        for n in range(blob.chunks):
            async with begin() as session:
                data = await _chunk(session, blob.id, n)
            yield _open_chunk(opener, blob.id, n, n == blob.chunks - 1, data)

    async def export(self, begin: Begin, blob: Blob) -> AsyncIterator[bytes]:
        """The blob as it lies, still encrypted (media type ``application/vnd.town.sealed-blob``).

        One line of JSON (id, media_type, size, wrapped_key), then the sealed chunks one after the other.
        """
        head = {
            "id": str(blob.id),
            "media_type": blob.media_type,
            "size": blob.size,
            "wrapped_key": blob.wrapped_key.decode("latin-1"),
        }
        yield json.dumps(head).encode() + b"\n"
        for n in range(blob.chunks):
            async with begin() as session:
                data = await _chunk(session, blob.id, n)
            yield data

    async def reference(self, session: AsyncSession, *blob_ids: UUID) -> None:
        """Say that something holds these blobs; what nothing holds is removed after 24 hours."""
        await session.execute(_REFERENCE, {"ids": list(blob_ids)})

    async def remove(self, session: AsyncSession, blob_id: UUID) -> None:
        """Delete a blob with its key, which makes every copy of its chunks unreadable."""
        await session.execute(_REMOVE, {"id": blob_id})

    def _wrap(self, blob_id: UUID, key: bytes, recipient: Recipient) -> bytes:
        if recipient is Recipient.VAULT:
            if self._vault is None:
                raise ValueError("the vault's public key is not configured")
            return self._vault.encrypt(key + blob_id.bytes).encode()
        nonce = os.urandom(12)
        return nonce + AESGCM(self._keys[0]).encrypt(nonce, key, blob_id.bytes)

    def rewrap(self, blob_id: UUID, wrapped: bytes) -> bytes | None:
        """The key of a blob of this service under the newest key, None if it is already.

        Raises:
            BlobDamaged: no key of this service opens it.
        """
        with suppress(InvalidTag):
            AESGCM(self._keys[0]).decrypt(wrapped[:12], wrapped[12:], blob_id.bytes)
            return None
        return self._wrap(blob_id, self._unwrap(blob_id, wrapped, Recipient.SERVICE), Recipient.SERVICE)

    def _unwrap(self, blob_id: UUID, wrapped: bytes, recipient: Recipient) -> bytes:
        if recipient is Recipient.VAULT:
            if self._vault_keys is None:
                raise BlobDamaged("only the vault opens this blob")
            return _unwrap_in_vault(self._vault_keys, blob_id, wrapped)
        for key in self._keys:
            try:
                return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], blob_id.bytes)
            except InvalidTag:
                continue
        raise BlobDamaged("no key of this service opens this blob")


async def open_sealed(
    content: AsyncIterator[bytes], keys: VaultKeys | VaultPrivateKey, *, limit: int
) -> AsyncIterator[bytes]:
    """The bytes of a blob that another service exported, opened with the vault's keys.

    Args:
        content: what :meth:`PostgresBlobs.export` gave, in pieces of any size.
        keys: the vault's private keys.
        limit: longest content in bytes.

    Raises:
        BlobDamaged: it is longer than ``limit``, not for these keys, or not what was written.
    """
    buffer, pieces = bytearray(), aiter(content)
    while b"\n" not in buffer:
        piece = await anext(pieces, b"")
        buffer += piece
        if not piece or len(buffer) > _HEADER_LIMIT + 2 * CHUNK:
            raise BlobDamaged("no header")
    line, _, rest = bytes(buffer).partition(b"\n")
    blob_id, size, wrapped = _sealed_header(line)
    if size > limit:
        raise BlobDamaged("too long")
    opener, buffer = AESGCM(_unwrap_in_vault(keys, blob_id, wrapped)), bytearray(rest)
    chunks = max(1, -(-size // CHUNK))
    for n in range(chunks):
        last = n == chunks - 1
        wanted = (size - n * CHUNK if last else CHUNK) + _TAG
        while len(buffer) < wanted:
            piece = await anext(pieces, b"")
            if not piece:
                raise BlobDamaged("cut off")
            buffer += piece
        yield _open_chunk(opener, blob_id, n, last, bytes(buffer[:wanted]))
        del buffer[:wanted]


def sweep_job(database: Database, clock: Clock) -> Job:
    """The worker's job that removes blobs nothing holds after 24 hours, at most 100 a run."""

    async def run() -> int:
        async with database.begin() as session:
            done = cast(CursorResult[Any], await session.execute(_SWEEP, {"before": clock.now() - KEEP_UNREFERENCED}))
            return int(done.rowcount)

    return Job("blob-sweep", timedelta(minutes=15), run)


def _sealed_header(line: bytes) -> tuple[UUID, int, bytes]:
    try:
        head: Any = json.loads(line)
        return UUID(head["id"]), int(head["size"]), str(head["wrapped_key"]).encode("latin-1")
    except (ValueError, KeyError, TypeError):
        raise BlobDamaged("no header") from None


def _unwrap_in_vault(keys: VaultKeys | VaultPrivateKey, blob_id: UUID, wrapped: bytes) -> bytes:
    try:
        opened = keys.decrypt(wrapped.decode("latin-1"))
    except TokenRefused:
        raise BlobDamaged("no key of the vault opens this blob") from None
    if opened[32:] != blob_id.bytes:
        raise BlobDamaged("the key belongs to another blob")
    return opened[:32]


def _binding(blob_id: UUID, n: int, last: bool) -> tuple[bytes, bytes]:
    """Nonce and associated data of a chunk; the key is the blob's own, so that no nonce is used twice with it."""
    place = n.to_bytes(11, "big") + bytes([last])
    return place, blob_id.bytes + place


def _open_chunk(opener: AESGCM, blob_id: UUID, n: int, last: bool, sealed: bytes) -> bytes:
    nonce, bound = _binding(blob_id, n, last)
    try:
        return opener.decrypt(nonce, sealed, bound)
    except InvalidTag:
        raise BlobDamaged(f"chunk {n} is not what was written") from None


async def _chunk(session: AsyncSession, blob_id: UUID, n: int) -> bytes:
    data = (await session.execute(_CHUNK, {"id": blob_id, "n": n})).scalar_one_or_none()
    if data is None:
        raise BlobDamaged(f"chunk {n} is missing")
    return bytes(data)


async def _in_chunks(content: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """``content`` cut into chunks of 256 KiB; the last one (maybe empty) is marked."""
    buffer = bytearray()
    async for piece in content:
        buffer += piece
        while len(buffer) > CHUNK:
            yield bytes(buffer[:CHUNK]), False
            del buffer[:CHUNK]
    yield bytes(buffer), True
