"""Bank readings, pointers and conditions the checks stand on."""

from datetime import date

import pytest

from town_procedures.catalogue.checks import CHECKS, bank_kana
from town_procedures.catalogue.pointers import Condition, find


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
