"""The vault: what was encrypted to it opens, what was changed does not, and nothing shows a number."""

from uuid import UUID

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


@pytest.mark.case("D-40")
def test_every_row_opens_during_a_change_of_keys_and_once_wrapped_anew_without_the_old_one() -> None:
    old, new, digest = b"o" * 32, b"n" * 32, b"d" * 32
    keys = VaultKeys(VaultPrivateKey.generate())
    before = Vault(keys, key_encryption_key=old, digest_key=digest)
    changing = Vault(keys, key_encryption_key=new, digest_key=digest, older_key_encryption_keys=[old])
    after = Vault(keys, key_encryption_key=new, digest_key=digest)
    rows = {new_id(): vault for vault in [before] * 10 + [changing] * 10}
    stored = {row: vault.seal(row, NUMBER) for row, vault in rows.items()}
    assert all(changing.unseal(row, *one) == NUMBER for row, one in stored.items())
    refused = [row for row, one in stored.items() if not opens(after, row, *one)]
    assert refused == [row for row, vault in rows.items() if vault is before]
    anew = {row: (changing.rewrap(row, wrapped) or wrapped, sealed) for row, (wrapped, sealed) in stored.items()}
    assert all(opens(after, row, *one) for row, one in anew.items())
    assert not any(opens(before, row, *one) for row, one in anew.items())
    with pytest.raises(NumberRefused):
        after.rewrap(new_id(), next(iter(anew.values()))[0])


def opens(vault: Vault, row: UUID, wrapped: bytes, sealed: bytes) -> bool:
    try:
        return vault.unseal(row, wrapped, sealed) == NUMBER
    except NumberRefused:
        return False


@pytest.mark.case("D-40")
def test_the_vaults_key_changes_and_what_waits_is_renewed() -> None:
    old, new = VaultPrivateKey.generate(), VaultPrivateKey.generate()
    waiting = old.public_key().encrypt(b"123456789018")
    assert vault(new, old).open(waiting) == NUMBER
    assert vault(new).open(VaultKeys(new, old).renew(waiting)) == NUMBER
    with pytest.raises(NumberRefused):
        vault(new).open(waiting)


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
