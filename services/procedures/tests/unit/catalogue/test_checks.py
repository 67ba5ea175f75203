"""Rules of age and of bank readings that the checks stand on."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_procedures.catalogue.checks import CHECKS, bank_kana
from town_procedures.catalogue.pointers import Condition, attained_on, find, fiscal_year_end_after


@pytest.mark.parametrize(
    ("birth", "years", "attained"),
    [
        ("2008-04-01", 18, "2026-03-31"),
        ("2008-04-02", 18, "2026-04-01"),
        ("2008-02-29", 18, "2026-02-28"),
        ("2008-02-29", 20, "2028-02-28"),
        ("2008-01-01", 18, "2025-12-31"),
    ],
)
def test_an_age_is_reached_the_day_before_the_birthday(birth: str, years: int, attained: str) -> None:
    assert attained_on(date.fromisoformat(birth), years) == date.fromisoformat(attained)


@given(st.dates(date(1950, 1, 1), date(2030, 12, 31)), st.integers(1, 60))
def test_the_end_of_the_fiscal_year_is_the_first_31_march_on_or_after_the_age(birth: date, years: int) -> None:
    end = fiscal_year_end_after(birth, years)
    assert (end.month, end.day) == (3, 31)
    assert 0 <= (end - attained_on(birth, years)).days < 366


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ノト　ハナコ", "ﾉﾄ ﾊﾅｺ"),
        ("キャッシュ", "キヤツシユ"),
        ("オーノ", "オ-ノ"),
        ("のと はなこ", "ノトハナコ"),
        ("ガ", "ｶﾞ"),
    ],
)
def test_two_readings_a_bank_takes_for_one_are_one(one: str, other: str) -> None:
    assert bank_kana(one) == bank_kana(other)


def test_other_names_are_other_holders() -> None:
    assert bank_kana("ノト　ハナコ") != bank_kana("ノト　ハナエ")
    assert bank_kana("ハ") != bank_kana("バ")


def test_a_star_names_every_element_and_what_is_absent_is_left_out() -> None:
    document = {"a": [{"b": 1}, {}, {"b": 3}]}
    assert find(document, "/a/*/b") == [("/a/0/b", 1), ("/a/2/b", 3)]
    assert find(document, "/a/7/b") == find(document, "/x") == []


def test_a_condition_holds_for_one_element_of_a_list() -> None:
    apart = Condition(pointer="/children/*/together", one_of=(False,))
    assert apart.holds({"children": [{"together": True}, {"together": False}]}, date(2026, 1, 1))
    assert not apart.holds({"children": [{"together": True}]}, date(2026, 1, 1))
    assert not apart.holds({}, date(2026, 1, 1))


def test_a_check_says_nothing_about_what_is_not_answered() -> None:
    on = date(2026, 1, 1)
    assert CHECKS["date_not_future"]({}, on=on, pointers=["/a"]) == []
    assert CHECKS["bank_account_kana_matches"]({}, on=on, holder="/h", person="/p") == []
    assert CHECKS["age_within"]({"b": "no date"}, on=on, pointer="/b", at_least=40) == []
