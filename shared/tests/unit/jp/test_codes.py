"""団体コード and 法人番号."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_kit.jp import CorporateNumber, MunicipalityCode


@pytest.mark.parametrize("code", ["174611", "170003", "172049", "174637", "131016"])
def test_real_municipality_codes_are_right(code: str) -> None:
    assert str(MunicipalityCode(code)) == code
    assert MunicipalityCode(code).prefecture == code[:2]


@pytest.mark.parametrize("code", ["174612", "17461", "1746110", "17461a", "１７４６１１", ""])
def test_wrong_municipality_codes_are_refused(code: str) -> None:
    with pytest.raises(ValueError):
        MunicipalityCode(code)


@pytest.mark.parametrize(
    "number",
    ["5010001006767", "7010401022916", "6010701025710", "5060001002844", "2000020170003", "7000012050002"],
)
def test_published_corporate_numbers_are_right(number: str) -> None:
    assert str(CorporateNumber(number)) == number


def test_a_local_government_has_a_corporate_number_made_of_its_code() -> None:
    assert CorporateNumber.of_municipality(MunicipalityCode("170003")).value == "2000020170003"
    assert CorporateNumber.of_municipality(MunicipalityCode("174611")).value == "6000020174611"


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 12), st.integers(1, 8))
def test_a_wrong_digit_in_a_corporate_number_is_found(body: str, place: int, step: int) -> None:
    whole = CorporateNumber.check_digit(body) + body
    digit = (int(whole[place]) + step) % 10
    wrong = whole[:place] + str(digit) + whole[place + 1 :]
    if CorporateNumber.check_digit(wrong[1:]) == wrong[0]:
        assert {digit, int(whole[place])} == {0, 9} or (place > 0 and (digit - int(whole[place])) % 9 == 0)
    else:
        with pytest.raises(ValueError):
            CorporateNumber(wrong)
