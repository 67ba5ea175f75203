"""Numbers leave the answers of a released package; what is no number stays for the form to refuse."""

from town_kit.vaulting import VaultPrivateKey
from town_standardization.releases.numbers import sealed

FORM = {
    "properties": {
        "claimant": {"properties": {"name": {}, "my_number": {"x-my-number": True}}},
        "children": {"items": {"properties": {"my_number": {"x-my-number": True}}}},
    }
}
KEY = VaultPrivateKey.generate()


def test_every_marked_number_is_encrypted_and_its_place_is_empty() -> None:
    answers = {
        "claimant": {"name": "見本", "my_number": "123456789018"},
        "children": [{"my_number": "999000000016"}, {"my_number": None}],
    }
    clean, numbers = sealed(FORM, answers, KEY.public_key())
    assert clean == {"claimant": {"name": "見本", "my_number": None}, "children": [{"my_number": None}] * 2}
    opened = {one["pointer"]: (one["role"], KEY.decrypt(one["jwe"])) for one in numbers}
    assert opened == {
        "/claimant/my_number": ("claimant", b"123456789018"),
        "/children/0/my_number": ("children", b"999000000016"),
    }
    assert answers["claimant"]["my_number"] == "123456789018"  # the given answers are not changed


def test_what_is_no_number_stays() -> None:
    answers = {"claimant": {"my_number": "123456789019"}, "children": [{"my_number": 5}], "unknown": [1]}
    clean, numbers = sealed(FORM, answers, KEY.public_key())
    assert (clean, numbers) == (answers, [])
