"""A backup is whole or none, is never overwritten, and comes back only with its own keys and as it was."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console

from town_onebox import testing, town, vault_user
from town_onebox.choices import Choices
from town_onebox.place import Place
from town_onebox.recovery import manifest, state
from town_onebox.recovery.backup import NotPossible, backup
from town_onebox.recovery.manifest import BackupUnsound, Manifest
from town_onebox.recovery.reconcile import reconcile
from town_onebox.recovery.restore import restore
from town_onebox.town import DatabaseServer

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("recovery")]


@dataclass
class Night:
    """A town with its tables, at rest, and last night's backup of it."""

    folder: Path
    manifest: Manifest

    @property
    def town(self) -> Path:
        return self.folder / "town"

    @property
    def data(self) -> Path:
        return self.folder / "night"

    @property
    def keys(self) -> Path:
        return self.folder / "night-keys"


def quiet(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def night() -> Iterator[Night]:
    with testing.directory() as directory:
        place = Place(directory)
        place.make()
        database = DatabaseServer(place, "production")
        account, _ = vault_user.account()
        choices = Choices(directory, sandbox=False)
        try:
            town.set_up(place, choices, account, database.server.admin_dsn, Console(quiet=True))
            asyncio.run(write_that_a_standby_follows(database.server.admin_dsn))
            folder = directory.parent
            taken = backup(directory, folder / "night", folder / "night-keys", quiet)
        finally:
            database.stop()
        yield Night(folder, taken)


async def write_that_a_standby_follows(dsn: str) -> None:
    """As ``standby --synchronous`` does; the server itself goes on without, for it is not told to read it."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'town_standby'")
    await connection.close()


def test_a_backup_says_what_it_holds_and_holds_no_key(night: Night) -> None:
    assert set(night.manifest.databases) >= {"identity", "procedures", "standardization", "events_my_number"}
    assert night.manifest.databases["procedures"].revision
    assert night.manifest.databases["procedures"].tables["applications"] == 0
    assert night.manifest.files["base.tar.gz"].sha256 == manifest.sha256(night.data / "base.tar.gz")
    assert sorted(path.name for path in night.data.iterdir()) == sorted([*night.manifest.files, manifest.FILE])
    assert (night.keys / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert night.keys.stat().st_mode & 0o777 == 0o700


def test_a_backup_is_not_overwritten_and_lies_apart_from_town_and_keys(night: Night) -> None:
    for to, keys in (
        (night.data, night.folder / "other"),
        (night.folder / "other", night.keys),
        (night.folder / "one", night.folder / "one"),
        (night.folder / "one", night.folder / "one" / "keys"),
        (night.town / "backup", night.folder / "other"),
    ):
        with pytest.raises(NotPossible):
            backup(night.town, to, keys, quiet)
    assert not (night.folder / "one").exists()


def test_a_town_is_not_overwritten(night: Night) -> None:
    with pytest.raises(NotPossible):
        restore(night.data, night.keys, night.town, quiet)


def test_a_changed_byte_is_found_and_nothing_is_left_behind(night: Night) -> None:
    broken = night.folder / "broken"
    shutil.copytree(night.data, broken)
    raw = bytearray((broken / "base.tar.gz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (broken / "base.tar.gz").write_bytes(raw)
    fresh = night.folder / "fresh-1"
    with pytest.raises(BackupUnsound, match=r"base\.tar\.gz"):
        restore(broken, night.keys, fresh, quiet)
    assert not (fresh / "secrets.json").exists()


def test_a_backup_that_was_not_finished_is_none(night: Night) -> None:
    half = night.folder / "half"
    shutil.copytree(night.data, half)
    (half / manifest.FILE).unlink()
    with pytest.raises(BackupUnsound):
        restore(half, night.keys, night.folder / "fresh-2", quiet)


def test_keys_of_another_town_are_refused(night: Night) -> None:
    others = night.folder / "other-keys"
    shutil.copytree(night.keys, others)
    (others / "vault-public-key.json").write_text("{}")
    with pytest.raises(BackupUnsound):
        restore(night.data, others, night.folder / "fresh-3", quiet)
    assert not (night.folder / "fresh-3" / "secrets.json").exists()


def test_other_rows_than_the_manifest_counts_are_refused(night: Night) -> None:
    other = night.folder / "other-rows"
    shutil.copytree(night.data, other)
    text = (other / manifest.FILE).read_text("utf-8").replace('"applications": 0', '"applications": 1')
    (other / manifest.FILE).write_text(text, "utf-8")
    fresh = night.folder / "fresh-4"
    with pytest.raises(BackupUnsound, match="procedures"):
        restore(other, night.keys, fresh, quiet)
    assert not (fresh / "secrets.json").exists()
    assert not (fresh / "postgres").exists()


def test_a_restored_town_does_not_start_before_it_was_compared(night: Night) -> None:
    fresh = night.folder / "fresh-5"
    restore(night.data, night.keys, fresh, quiet)
    try:
        place = Place(fresh)
        with pytest.raises(RuntimeError, match="reconcile"):
            town.run(Choices(fresh, sandbox=False), Console(quiet=True))
        lists = {
            "created": [{"location": "/v1/applications/0190f3a2-7c1e-7c3d-9a41-1f2e3d4c5b6a"}],
            "heads": [{"service": "procedures", "seq": 7, "hash": "00"}],
        }
        found = reconcile(fresh, lists, quiet)
        assert [(one.kind, one.name) for one in found.missing] == [
            ("application", "0190f3a2-7c1e-7c3d-9a41-1f2e3d4c5b6a")
        ]
        assert found.audit_lost == {"procedures": 7}
        state.refuse_unreconciled(place)
        assert "失われた申請" in next(place.reports.glob("*.txt")).read_text("utf-8")
    finally:
        town.reset(fresh)


def test_a_town_that_was_never_restored_has_nothing_to_compare(night: Night) -> None:
    with pytest.raises(NotPossible):
        reconcile(night.town, {}, quiet)
