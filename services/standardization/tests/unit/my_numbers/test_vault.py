"""The vault: what was encrypted to it opens, what was changed does not, and nothing shows a number."""

import pytest

from town_kit.ids import new_id
from town_kit.jp import MyNumber
from town_kit.vaulting import VaultKeys, VaultPrivateKey
from town_standardization.my_numbers import NumberRefused, Vault

NUMBER = MyNumber.parse("123456789018")


def vault(*keys: VaultPrivateKey, kek: bytes = b"k" * 32, digest: bytes = b"d" * 32) -> Vault:
    return Vault(VaultKeys(*(keys or (VaultPrivateKey.generate(),))), key_encryption_key=kek, digest_key=digest)


def test_a_number_encrypted_to_the_vault_opens() -> None:
    key = VaultPrivateKey.generate()
    assert vault(key).open(key.public_key().encrypt(b"123456789018")) == NUMBER


def test_an_older_key_still_opens_what_waits() -> None:
    newest, older = VaultPrivateKey.generate(), VaultPrivateKey.generate()
    assert vault(newest, older).open(older.public_key().encrypt(b"123456789018")) == NUMBER


@pytest.mark.parametrize("content", [b"123456789019", b"", "１２３４５６７８９０１８".encode(), bytes(range(200, 220))])
def test_what_is_no_number_is_refused(content: bytes) -> None:
    key = VaultPrivateKey.generate()
    with pytest.raises(NumberRefused):
        vault(key).open(key.public_key().encrypt(content))


def test_what_was_encrypted_to_somebody_else_is_refused() -> None:
    with pytest.raises(NumberRefused):
        vault().open(VaultPrivateKey.generate().public_key().encrypt(b"123456789018"))


def test_a_sealed_number_opens_in_its_own_row_alone() -> None:
    one, row, other = vault(), new_id(), new_id()
    wrapped, sealed = one.seal(row, NUMBER)
    assert one.unseal(row, wrapped, sealed) == NUMBER
    for place, key, content in (
        (other, wrapped, sealed),
        (row, wrapped, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (row, one.seal(row, NUMBER)[0], sealed),
    ):
        with pytest.raises(NumberRefused):
            one.unseal(place, key, content)


def test_another_key_encryption_key_opens_nothing() -> None:
    row = new_id()
    with pytest.raises(NumberRefused):
        vault(kek=b"x" * 32).unseal(row, *vault().seal(row, NUMBER))


def test_the_index_is_of_its_own_key_and_tells_nothing() -> None:
    assert vault().digest(NUMBER) == vault().digest(NUMBER)
    assert vault().digest(NUMBER) != vault(digest=b"x" * 32).digest(NUMBER)
    assert vault().digest(NUMBER) == vault(kek=b"x" * 32).digest(NUMBER)


def test_two_sealings_of_one_number_differ() -> None:
    one, row = vault(), new_id()
    assert one.seal(row, NUMBER) != one.seal(row, NUMBER)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError):
        vault(kek=b"short")
