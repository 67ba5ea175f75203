"""基本4情報: two writings of one person fold together, two people never do."""

from town_standardization.addressees.domain import NumberPolicy, four_key

PERSON = {"name": "渡邉　花子", "birth_date": "1987-05-14", "sex": "2", "address": "石川県鳳珠郡穴水町字見本町１"}


def test_writings_of_one_person_have_one_key() -> None:
    assert four_key(PERSON) == four_key(PERSON | {"name": "渡辺 花子", "address": "石川県鳳珠郡穴水町字見本町1"})


def test_less_than_four_is_no_key() -> None:
    assert all(four_key({k: v for k, v in PERSON.items() if k != missing}) is None for missing in PERSON)


def test_another_person_has_another_key() -> None:
    assert len({four_key(PERSON | change) for change in ({}, {"sex": "1"}, {"birth_date": "1987-05-15"})}) == 3


def test_numbers_are_padded_by_policy() -> None:
    padded = NumberPolicy(addressee_first=900, integrated_first=1, width=15, zero_padded=True)
    bare = NumberPolicy(addressee_first=900, integrated_first=1, width=15, zero_padded=False)
    assert (padded.addressee_number(2), bare.addressee_number(2)) == ("000000000000901", "901")
    assert (padded.read("123"), bare.read("123")) == ("000000000000123", "123")
