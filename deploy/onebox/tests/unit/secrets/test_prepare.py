"""Secrets are made once, kept for ever, and readable by their owner alone."""

import os
import stat
from pathlib import Path

from town_kit.auth.jose import DecryptionKey
from town_kit.db.server_files import Account
from town_kit.vaulting import load_public_key
from town_onebox import secrets
from town_onebox.place import Place

ME = Account(None, os.geteuid(), os.getegid())


def test_a_second_start_finds_the_secrets_of_the_first(tmp_path: Path) -> None:
    place = Place(tmp_path / "town")
    first, first_vault = secrets.prepare(place), secrets.prepare_vault(place, ME)
    assert secrets.prepare(place) == first == secrets.read(place)
    assert secrets.prepare_vault(place, ME) == first_vault == secrets.read_vault(place)


def test_no_secret_is_readable_by_others(tmp_path: Path) -> None:
    place = Place(tmp_path / "town")
    secrets.prepare(place)
    secrets.prepare_vault(place, ME)
    for path in (place.secrets, *place.keys.rglob("*.pem"), *place.vault.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(place.vault.stat().st_mode) == 0o700


def test_a_database_that_is_new_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    place = Place(tmp_path / "town")
    first = secrets.prepare(place)
    without = first.model_copy(update={"databases": {k: v for k, v in first.databases.items() if k != "connector"}})
    place.secrets.write_text(without.model_dump_json())
    again = secrets.prepare(place)
    assert again.databases["identity"] == first.databases["identity"]
    assert again.databases["connector"] != first.databases["connector"]


def test_what_is_outside_the_vault_holds_no_secret_of_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "town")
    secrets.prepare(place)
    vault = secrets.prepare_vault(place, ME)
    inner = {vault.keys.key_encryption_key, vault.keys.digest_key}
    inner |= {password for each in vault.databases.values() for password in (each.owner, each.app)}
    outside = [p for p in place.directory.rglob("*") if p.is_file() and place.vault not in p.parents]
    assert outside
    assert not [p for p in outside if any(secret in p.read_text() for secret in inner)]
    public = load_public_key(place.vault_public_key.read_bytes())
    assert public.kid == DecryptionKey.load(place.vault_private_key).kid
