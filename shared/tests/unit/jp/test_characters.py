"""Characters, readings and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_kit.jp import Address, characters, kana

KATSU = "葛\U000e0100"  # 葛 with an IVS: one character of MJ+
GAIJI = "\U00100e92"  # a private-use glyph of the standard font


def test_a_character_with_a_variation_selector_counts_once() -> None:
    assert characters.length(KATSU + "飾" + GAIJI) == 3
    assert characters.length("か\u3099") == 1


def test_degrading_keeps_places_and_tells_what_was_replaced() -> None:
    made = characters.degrade(KATSU + "飾" + GAIJI)
    assert made.text == "葛飾〓"
    assert made.substituted == (True, False, True)
    assert characters.degrade("﨑").is_exact  # 第3水準
    assert characters.degrade("髙").text == "高"  # not in JIS X 0213
    assert characters.degrade("穴水　太郎").is_exact


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_a_degraded_text_has_a_character_for_each_and_fits_jis(text: str) -> None:
    made = characters.degrade(text)
    assert len(made.text) == len(made.substituted) == characters.length(text)
    made.text.encode("euc_jis_2004")


def test_the_same_name_in_two_writings_compares_equal_and_is_not_changed() -> None:
    assert characters.comparison_key("渡邊　" + KATSU) == characters.comparison_key("渡辺葛")
    assert characters.comparison_key("髙橋") == characters.comparison_key("高橋")
    assert characters.comparison_key("ﾀﾅｶ") == characters.comparison_key("タナカ")
    assert characters.comparison_key("\ufa19") == characters.comparison_key("神")
    assert characters.comparison_key("田中") != characters.comparison_key("中田")


@pytest.mark.parametrize("text", ["穴水　太郎", KATSU, GAIJI, "\U00031350", "か\u3099", "\ufa19"])
def test_what_the_standard_knows_is_welcome(text: str) -> None:
    assert characters.misplaced(text) == []
    assert characters.is_full_width(text)


@pytest.mark.parametrize("text", ["穴\u0000", "穴\u202e", "穴\ufffe", "穴\u200b", "穴\n"])
def test_controls_and_invisible_characters_are_misplaced(text: str) -> None:
    assert characters.misplaced(text)


def test_a_selector_without_an_ideograph_is_misplaced() -> None:
    assert characters.misplaced("\U000e0100") == [0]
    assert characters.misplaced("A\U000e0100") == [0]


@pytest.mark.parametrize("text", ["ｱﾅﾐｽﾞ", "穴水1", "a"])
def test_half_width_is_not_full_width(text: str) -> None:
    assert not characters.is_full_width(text)


def test_readings_have_one_form() -> None:
    assert kana.katakana("あなみず ﾀﾛｳ") == "アナミズ　タロウ"
    assert kana.half_width("アナミズ　ガギ") == "ｱﾅﾐｽﾞ ｶﾞｷﾞ"
    assert kana.hiragana("ｱﾅﾐｽﾞ") == "あなみず"
    assert kana.comparison_key("キョウコ") == kana.comparison_key("キヨウコ")


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("石川県鳳珠郡穴水町字川島ラの174番地", ("石川県", "鳳珠郡穴水町", "字川島ラの", "174番地", "")),
        ("石川県輪島市二ツ屋町2字29番地", ("石川県", "輪島市", "二ツ屋町", "2", "字29番地")),
        ("東京都千代田区霞が関２－１－３　総務省", ("東京都", "千代田区", "霞が関", "２－１－３", "総務省")),
        ("京都府京都市中京区上本能寺前町488番地", ("京都府", "京都市中京区", "上本能寺前町", "488番地", "")),
        ("石川県野々市市三納一丁目1番地", ("石川県", "野々市市", "三納", "一丁目1番地", "")),
        ("外国", ("", "", "外国", "", "")),
    ],
)
def test_addresses_split_without_losing_a_character(written: str, parts: tuple[str, ...]) -> None:
    found = Address.split(written)
    assert (found.prefecture, found.city, found.area, found.block, found.building) == parts
    assert found.one_line().replace("　", "") == written.replace("　", "")


def test_parts_longer_than_the_standard_are_refused() -> None:
    with pytest.raises(ValueError):
        Address("石川県石川県", "鳳珠郡穴水町")
    with pytest.raises(ValueError):
        Address("石川県", "鳳珠郡穴水町", postal_code="927-002")
