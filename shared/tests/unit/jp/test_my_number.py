"""個人番号: the check digit, and that a number shows itself to nobody."""

import copy
import json
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_kit.jp import MyNumber, contains_my_number, mask_my_numbers
from town_kit.jp.my_number import check_digit

KNOWN = "123456789018"
bodies = st.text("0123456789", min_size=11, max_size=11)


def test_the_known_number_is_right() -> None:
    assert MyNumber.parse(KNOWN).reveal() == KNOWN


@given(bodies, st.integers(0, 11), st.integers(1, 9))
def test_a_single_wrong_digit_is_found_unless_the_rest_is_folded(body: str, place: int, step: int) -> None:
    whole = body + check_digit(body)
    wrong = whole[:place] + str((int(whole[place]) + step) % 10) + whole[place + 1 :]
    # Remainders 0 and 1 share the check digit 0: only there may an error pass.
    if check_digit(wrong[:11]) == wrong[11]:
        assert whole[11] == "0"
    else:
        with pytest.raises(ValueError):
            MyNumber.parse(wrong)


@given(bodies)
def test_groups_and_full_width_are_read(body: str) -> None:
    whole = body + check_digit(body)
    wide = whole.translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})
    assert MyNumber.parse(wide).reveal() == whole
    assert MyNumber.parse(f"{whole[:4]}-{whole[4:8]} {whole[8:]}").reveal() == whole


@pytest.mark.parametrize("text", ["", "12345678901", KNOWN + "1", "12345678901a", "123456789019", KNOWN + "\n"])
def test_what_is_no_number_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        MyNumber.parse(text)
    assert not text or text not in str(refused.value)


def test_no_way_of_printing_shows_the_digits(caplog: pytest.LogCaptureFixture) -> None:
    number = MyNumber.parse(KNOWN)
    with caplog.at_level(logging.INFO):
        logging.getLogger("t").info("%s %r", number, number)
    shown = [repr(number), str(number), f"{number}", f"{number:>20}", f"{number!r}", repr([number]), caplog.text]
    assert not any(KNOWN in text or KNOWN[:8] in text for text in shown)
    assert number.masked() == "********9018"


def test_a_number_leaves_by_no_serializer() -> None:
    number = MyNumber.parse(KNOWN)
    for dump in (pickle.dumps, json.dumps, vars):
        with pytest.raises(TypeError):
            dump(number)
    assert copy.deepcopy({"n": number})["n"] is number


def test_numbers_compare_and_never_change() -> None:
    number = MyNumber.parse(KNOWN)
    assert number == MyNumber.parse(KNOWN)
    assert number != KNOWN
    with pytest.raises(AttributeError):
        number._digits = "1"
    with pytest.raises(TypeError):
        MyNumber(KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        f"番号は{KNOWN}です",
        "番号は１２３４５６７８９０１８です",
        "1234 5678 9018",
        "1234-5678-9018",
        "1234　5678　9018",
        "1234\u200b56789018",
        "1234567890\u00ad18",
    ],
)
def test_a_number_in_text_is_found_however_it_is_written(text: str) -> None:
    assert contains_my_number(text)


@pytest.mark.parametrize("text", ["", "電話 0768-52-0300", "123456789019", KNOWN + "0", "9" + KNOWN, "令和8年11月24日"])
def test_other_digits_are_not_taken_for_a_number(text: str) -> None:
    assert not contains_my_number(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("番号は 123456789018 です", "番号は ********9018 です"),
        ("１２３４－５６７８－９０１８", "********9018"),
        ("1234\u200b5678\u200b9018", "********9018"),
        ("書き損じ 123456789019", "書き損じ ********9019"),  # a wrong check digit is a number one digit off
        ("0000 1234 5678 9018", "********5678 9018"),
        ("電話 0768520300", "電話 0768520300"),
        ("なし", "なし"),
    ],
)
def test_a_text_is_shown_without_its_numbers(text: str, shown: str) -> None:
    assert mask_my_numbers(text) == shown
    assert not contains_my_number(mask_my_numbers(text))
