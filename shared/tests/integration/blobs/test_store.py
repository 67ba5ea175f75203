"""Files in the database: what comes back, who can read it, and what damage is noticed."""

import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from town_kit.blobs import CHUNK, BlobDamaged, BlobMissing, PostgresBlobs, Recipient, open_sealed, sweep_job
from town_kit.clock import SystemClock
from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.vaulting import VaultKeys, VaultPrivateKey

KEY = os.urandom(32)
VAULT = VaultPrivateKey.generate()
SERVICE_BLOBS = PostgresBlobs(key=KEY, vault=VAULT.public_key())
VAULT_BLOBS = PostgresBlobs(key=os.urandom(32), vault_keys=VAULT)


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def store(database: Database, content: bytes, recipient: Recipient = Recipient.SERVICE) -> UUID:
    async with database.begin() as session:
        return await SERVICE_BLOBS.write(
            session, pieces(content), owner="attachments", media_type="application/pdf", recipient=recipient
        )


async def read(database: Database, blob_id: UUID, blobs: PostgresBlobs = SERVICE_BLOBS) -> bytes:
    async with database.begin() as session:
        blob = await blobs.info(session, blob_id)
        return b"".join([piece async for piece in blobs.read(session, blob)])


async def execute(database: Database, statement: str, **values: object) -> None:
    async with database.begin() as session:
        await session.execute(text(statement), values)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
async def test_what_was_written_comes_back(database: Database, size: int) -> None:
    content = os.urandom(size)
    blob_id = await store(database, content)
    assert await read(database, blob_id) == content
    async with database.begin() as session:
        blob = await SERVICE_BLOBS.info(session, blob_id)
    assert (blob.size, blob.owner, blob.media_type) == (size, "attachments", "application/pdf")
    begin = partial(database.begin, role="service")
    assert b"".join([piece async for piece in SERVICE_BLOBS.download(begin, blob)]) == content


async def test_the_content_does_not_stand_in_the_table(database: Database) -> None:
    blob_id = await store(database, b"123456789018" * 1000)
    async with database.begin() as session:
        rows = await session.execute(text("SELECT data FROM blob_chunks WHERE blob_id = :id"), {"id": blob_id})
        assert all(b"123456789018" not in bytes(row.data) for row in rows)


async def test_a_blob_for_the_vault_is_opened_by_the_vault_alone(database: Database) -> None:
    content = os.urandom(CHUNK + 10)
    blob_id = await store(database, content, Recipient.VAULT)
    with pytest.raises(BlobDamaged, match="vault"):
        await read(database, blob_id)
    assert await read(database, blob_id, VAULT_BLOBS) == content
    with pytest.raises(BlobDamaged, match="no key"):
        await read(database, blob_id, PostgresBlobs(key=KEY, vault_keys=VaultPrivateKey.generate()))
    async with database.begin() as session:
        with pytest.raises(ValueError, match="not configured"):
            await PostgresBlobs(key=KEY).write(session, pieces(b""), owner="x", media_type="y")


async def exported(database: Database, blob_id: UUID) -> bytes:
    async with database.begin() as session:
        blob = await SERVICE_BLOBS.info(session, blob_id)
    return b"".join([piece async for piece in SERVICE_BLOBS.export(database.begin, blob)])


async def test_a_blob_is_handed_on_as_it_lies_and_opened_in_the_vault(database: Database) -> None:
    content = os.urandom(2 * CHUNK + 10)
    sealed = await exported(database, await store(database, content, Recipient.VAULT))
    assert content[:50] not in sealed
    for size in (7_777, 1_000_000):
        opened = [piece async for piece in open_sealed(pieces(sealed, size), VAULT, limit=10**7)]
        assert b"".join(opened) == content


async def test_a_handed_on_blob_that_was_changed_is_refused(database: Database) -> None:
    sealed = await exported(database, await store(database, os.urandom(CHUNK + 10), Recipient.VAULT))
    other = await exported(database, await store(database, os.urandom(CHUNK + 10), Recipient.VAULT))
    line, _, body = sealed.partition(b"\n")
    other_head = json.loads(other.partition(b"\n")[0])
    wrong_key = json.dumps(json.loads(line) | {"wrapped_key": other_head["wrapped_key"]}).encode()
    shorter = json.dumps(json.loads(line) | {"size": CHUNK}).encode()
    cases = [
        sealed[:-1],
        sealed[:-20] + bytes(20),
        wrong_key + b"\n" + body,
        shorter + b"\n" + body,
        b"no header\n" + body,
        b"",
        b"x" * 1_000_000,
    ]
    for case in cases:
        with pytest.raises(BlobDamaged):
            [piece async for piece in open_sealed(pieces(case), VAULT, limit=10**7)]
    with pytest.raises(BlobDamaged, match="too long"):
        [piece async for piece in open_sealed(pieces(sealed), VAULT, limit=1000)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE blob_chunks SET data = overlay(data placing '\\x00' from 5) WHERE blob_id = :id AND n = 1",
        "DELETE FROM blob_chunks WHERE blob_id = :id AND n = 1",
        "UPDATE blobs SET size = 2 * 262144 WHERE id = :id",
        (
            "UPDATE blob_chunks c SET data = o.data FROM blob_chunks o WHERE c.blob_id = :id AND o.blob_id = :id"
            " AND c.n = 0 AND o.n = 1"
        ),
        (
            "UPDATE blob_chunks c SET data = o.data FROM blob_chunks o WHERE c.blob_id = :id AND o.blob_id = :other"
            " AND c.n = o.n"
        ),
        "UPDATE blobs b SET wrapped_key = o.wrapped_key FROM blobs o WHERE b.id = :id AND o.id = :other",
    ],
)
async def test_damage_is_noticed(database: Database, kit_urls: DatabaseUrls, damage: str) -> None:
    blob_id = await store(database, os.urandom(2 * CHUNK + 100))
    other = await store(database, os.urandom(2 * CHUNK + 100))
    owner = Database(kit_urls.owner_url)
    await execute(owner, damage, **({"id": blob_id, "other": other} if ":other" in damage else {"id": blob_id}))
    await owner.engine.dispose()
    with pytest.raises(BlobDamaged):
        await read(database, blob_id)
    assert len(await read(database, other)) == 2 * CHUNK + 100


async def test_an_older_key_still_opens(database: Database) -> None:
    blob_id = await store(database, b"x")
    renewed = PostgresBlobs(key=os.urandom(32), older_keys=[KEY])
    assert await read(database, blob_id, renewed) == b"x"
    with pytest.raises(BlobDamaged):
        await read(database, blob_id, PostgresBlobs(key=os.urandom(32)))
    with pytest.raises(ValueError, match="32"):
        PostgresBlobs(key=b"short")


@pytest.mark.case("D-40")
async def test_every_file_opens_during_a_change_of_keys_and_old_ones_not_after(database: Database) -> None:
    new_key, new_vault = os.urandom(32), VaultPrivateKey.generate()
    old_ids = [await store(database, b"old", recipient) for recipient in Recipient]
    changing = PostgresBlobs(
        key=new_key, older_keys=[KEY], vault=new_vault.public_key(), vault_keys=VaultKeys(new_vault, VAULT)
    )
    async with database.begin() as session:
        new_ids = [
            await changing.write(session, pieces(b"new"), owner="a", media_type="b", recipient=recipient)
            for recipient in Recipient
        ]
    assert [await read(database, one, changing) for one in old_ids + new_ids] == [b"old", b"old", b"new", b"new"]
    after = PostgresBlobs(key=new_key, vault=new_vault.public_key(), vault_keys=new_vault)
    assert [await read(database, one, after) for one in new_ids] == [b"new", b"new"]
    for one in old_ids:
        with pytest.raises(BlobDamaged, match="no key"):
            await read(database, one, after)


async def test_what_nothing_holds_goes_after_24_hours_and_what_is_held_stays(database: Database) -> None:
    held, forgotten, fresh = [await store(database, b"x") for _ in range(3)]
    async with database.begin() as session:
        await SERVICE_BLOBS.reference(session, held)
        old = {"ids": [held, forgotten], "at": SystemClock().now() - timedelta(hours=25)}
        await session.execute(text("UPDATE blobs SET created_at = :at WHERE id = ANY(:ids)"), old)
    while await sweep_job(database, SystemClock()).run():
        pass
    assert await read(database, held) == await read(database, fresh) == b"x"
    with pytest.raises(BlobMissing):
        await read(database, forgotten)
    async with database.begin() as session:
        await SERVICE_BLOBS.remove(session, fresh)
        with pytest.raises(BlobMissing):
            await SERVICE_BLOBS.info(session, fresh)


async def test_a_transaction_that_fails_leaves_no_blob(database: Database) -> None:
    written: list[UUID] = []

    async def failing() -> None:
        async with database.begin() as session:
            written.append(await SERVICE_BLOBS.write(session, pieces(b"x"), owner="a", media_type="b"))
            raise OSError("late")

    with pytest.raises(OSError, match="late"):
        await failing()
    with pytest.raises(BlobMissing):
        await read(database, written[0])
