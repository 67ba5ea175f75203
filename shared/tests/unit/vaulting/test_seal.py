"""Encryption to the vault: who can read what, and what is refused."""

import json
from pathlib import Path

import pytest

from town_kit.auth.jose import DecryptionKey, TokenRefused
from town_kit.problems import ValidationFailed
from town_kit.vaulting import (
    ENCRYPTED,
    VaultKeys,
    VaultPrivateKey,
    VaultPublicKey,
    keyed_digest,
    load_public_key,
    save_public_key,
    seal_fields,
)

NUMBER = "123456789018"
VAULT = VaultPrivateKey.generate()
PUBLIC = VAULT.public_key()


def test_a_my_number_leaves_the_document_and_only_the_vault_reads_it() -> None:
    document = {"applicant": {"my_number": NUMBER, "phone": "1"}, "children": [{"my_number": NUMBER}, {"a": 1}]}
    sealed = seal_fields(document, ["/applicant/my_number", "/children/*/my_number", "/absent/my_number"], PUBLIC)
    assert NUMBER not in json.dumps(sealed)
    assert document["applicant"]["my_number"] == NUMBER
    assert sealed["applicant"]["phone"] == "1"
    for place in (sealed["applicant"]["my_number"], sealed["children"][0]["my_number"]):
        assert place.keys() == {ENCRYPTED}
        assert VAULT.decrypt(place[ENCRYPTED]) == NUMBER.encode()


@pytest.mark.case("D-38")
@pytest.mark.parametrize("value", ["123456789012", "12345678901", "", 5, ["123456789018"], {ENCRYPTED: "x"}])
def test_what_is_no_my_number_is_refused_by_its_place_alone(value: object) -> None:
    with pytest.raises(ValidationFailed) as refused:
        seal_fields({"list": [{"a/b": value}]}, ["/list/0/a~1b"], PUBLIC)
    assert [error.pointer for error in refused.value.errors] == ["/list/0/a~1b"]
    assert "1234" not in json.dumps(refused.value.document(), ensure_ascii=False)


def test_a_value_out_of_the_vault_passes_only_where_that_is_allowed() -> None:
    sealed = {"my_number": {ENCRYPTED: PUBLIC.encrypt(NUMBER.encode())}}
    assert seal_fields(sealed, ["/my_number"], PUBLIC, sealed_allowed=True) == sealed
    assert seal_fields({"my_number": None}, ["/my_number"], PUBLIC) == {"my_number": None}


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
