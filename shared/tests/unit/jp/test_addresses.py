"""住所 compared: one address however it is written, and no two that differ."""

import pytest

from town_kit.jp.addresses import comparison_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("石川県鳳珠郡穴水町字見本町ロ１番地の２", "石川県鳳珠郡穴水町見本町ロ1-2"),
        ("金沢市広坂一丁目１番１号", "金沢市広坂1-1-1"),
        ("金沢市広坂十二丁目三番地", "金沢市広坂１２－３"),
        ("金沢市広坂１丁目２番３号", "金沢市広坂１ー２ー３"),
        ("大字川島ラ１７４番地", "川島ら174"),
        ("千葉県鎌ヶ谷市新鎌ケ谷２", "千葉県鎌ケ谷市新鎌ヶ谷２"),
        ("金沢市　広坂 １", "金沢市広坂1"),
    ],
)
def test_two_writings_of_one_address_agree(one: str, other: str) -> None:
    assert comparison_key(one) == comparison_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("金沢市広坂1-12", "金沢市広坂11-2"),
        ("金沢市広坂1-1", "金沢市広坂1-1-1"),
        ("金沢市広坂１番地", "金沢市広坂２番地"),
        ("金沢市一番町", "金沢市二番町"),
        ("穴水町川島", "穴水町大町"),
    ],
)
def test_two_addresses_do_not(one: str, other: str) -> None:
    assert comparison_key(one) != comparison_key(other)
