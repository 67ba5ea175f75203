"""Encryption to the vault: who can read what, and what is refused."""

import json
from pathlib import Path

import pytest

from town_kit.auth.jose import DecryptionKey, TokenRefused
from town_kit.vaulting import (
    VaultKeys,
    VaultPrivateKey,
    VaultPublicKey,
    keyed_digest,
    load_public_key,
    save_public_key,
)

NUMBER = "123456789018"
VAULT = VaultPrivateKey.generate()
PUBLIC = VAULT.public_key()


def test_a_new_key_encrypts_and_the_old_one_still_opens() -> None:
    newest = VaultPrivateKey.generate()
    old = PUBLIC.encrypt(b"x")
    keys = VaultKeys(newest, VAULT)
    assert keys.decrypt(old) == b"x"
    renewed = keys.renew(old)
    assert newest.decrypt(renewed) == b"x"
    with pytest.raises(TokenRefused, match="unknown-key"):
        VaultKeys(newest).decrypt(old)


def test_keys_go_through_their_files(tmp_path: Path) -> None:
    (tmp_path / "private.json").write_text(VAULT.to_json())
    loaded = VaultPrivateKey.load(tmp_path / "private.json")
    save_public_key(tmp_path / "public.json", loaded.public_key())
    assert "d" not in json.loads((tmp_path / "public.json").read_text())
    assert loaded.decrypt(load_public_key((tmp_path / "public.json").read_bytes()).encrypt(b"x")) == b"x"
    VAULT.save(tmp_path / "key.pem")
    assert VaultPrivateKey.load(tmp_path / "key.pem").kid == VAULT.kid


def test_a_private_key_is_not_taken_for_the_public_one() -> None:
    with pytest.raises(ValueError, match="private"):
        VaultPublicKey.from_json(VAULT.to_json())
    with pytest.raises(ValueError, match="object"):
        VaultPublicKey.from_json("[]")
    with pytest.raises(ValueError, match="private key"):
        VaultPrivateKey.from_jwk(json.loads(PUBLIC.to_json()))


def test_a_stored_hash_depends_on_the_key() -> None:
    assert keyed_digest(b"a", b"x") != keyed_digest(b"b", b"x")
    assert keyed_digest(b"a", b"x") == keyed_digest(b"a", b"x")


def test_any_key_for_decryption_can_be_published(tmp_path: Path) -> None:
    save_public_key(tmp_path / "k", DecryptionKey.generate().public)
    assert load_public_key((tmp_path / "k").read_text()).algorithm == "ECDH-ES+A256KW"
