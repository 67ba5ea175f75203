"""A sealed column during a change of keys, and the setting that names the keys."""

import base64

import pytest
from cryptography.exceptions import InvalidTag

from town_kit.sealing import ColumnSealer
from town_kit.settings import ServiceSettings

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.mark.case("D-40")
def test_what_an_older_key_sealed_opens_in_its_row_and_no_longer_once_that_key_is_gone() -> None:
    sealed = ColumnSealer(OLD, "a purpose").seal(b"secret", b"row")
    changing = ColumnSealer(NEW, "a purpose", [OLD])
    assert changing.open(sealed, b"row") == b"secret"
    assert ColumnSealer(NEW, "a purpose").open(changing.seal(b"secret", b"row"), b"row") == b"secret"
    for sealer, row in ((ColumnSealer(NEW, "a purpose"), b"row"), (changing, b"another row")):
        with pytest.raises(InvalidTag):
            sealer.open(sealed, row)


def settings(**keys: str) -> ServiceSettings:
    return ServiceSettings(database_url="postgresql://x", issuer="i", jwks="/nowhere", **keys)


def test_the_newest_key_comes_first() -> None:
    old, new = (base64.b64encode(key).decode() for key in (OLD, NEW))
    assert settings(key_encryption_key=new).key_encryption_keys() == (NEW,)
    assert settings(key_encryption_key=new, older_key_encryption_key=old).key_encryption_keys() == (NEW, OLD)


@pytest.mark.parametrize("keys", [{}, {"key_encryption_key": "c2hvcnQ="}, {"key_encryption_key": "not base64"}])
def test_a_key_that_is_none_is_named_and_not_shown(keys: dict[str, str]) -> None:
    with pytest.raises(RuntimeError, match="KEY_ENCRYPTION_KEY") as refused:
        settings(**keys).key_encryption_keys()
    assert not any(key in str(refused.value) for key in keys.values())


@pytest.mark.parametrize("key", [None, "c2hvcnQ=", base64.b64encode(b"x" * 31).decode(), "not base64"])
def test_a_digest_key_is_32_bytes_or_no_service_starts(key: str | None) -> None:
    whole = base64.b64encode(NEW).decode()
    assert settings(digest_key=whole).key("digest_key") == NEW
    with pytest.raises(RuntimeError, match="DIGEST_KEY") as refused:
        settings(**({"digest_key": key} if key else {})).key("digest_key")
    assert key is None or key not in str(refused.value)
