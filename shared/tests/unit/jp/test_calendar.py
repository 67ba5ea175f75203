"""和暦, 年度, 年齢 and 営業日."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_kit.jp import (
    BusinessDays,
    Wareki,
    attained_on,
    fiscal_year,
    fiscal_year_end,
    fiscal_year_end_after,
    fiscal_year_label,
    fiscal_year_start,
    wareki,
)

days = st.dates(date(1873, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2026, 11, 24), "令和8年11月24日"),
        (date(2019, 5, 1), "令和元年5月1日"),
        (date(2019, 4, 30), "平成31年4月30日"),
        (date(1989, 1, 7), "昭和64年1月7日"),
        (date(1926, 12, 25), "昭和元年12月25日"),
        (date(1912, 7, 29), "明治45年7月29日"),
    ],
)
def test_eras_change_on_their_day(day: date, written: str) -> None:
    assert Wareki.of(day).format() == written


@given(days)
def test_what_is_written_is_read_back(day: date) -> None:
    assert wareki.parse(Wareki.of(day).format()) == day
    assert wareki.parse(Wareki.of(day).short()) == day


@pytest.mark.parametrize("text", ["昭和65年1月1日", "令和0年5月1日", "平成31年5月1日", "令和8年2月30日", "2026-11-24"])
def test_days_that_no_era_had_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        wareki.parse(text)


def test_full_width_and_blanks_are_read() -> None:
    assert wareki.parse("令和 ８年 １１月２４日") == date(2026, 11, 24)
    assert wareki.parse("S55.2.17") == date(1980, 2, 17)


def test_before_the_gregorian_calendar_there_is_no_wareki() -> None:
    with pytest.raises(ValueError):
        Wareki.of(date(1872, 12, 31))


@given(days)
def test_a_day_lies_in_its_fiscal_year(day: date) -> None:
    year = fiscal_year(day)
    assert fiscal_year_start(year) <= day <= fiscal_year_end(year)


def test_fiscal_years_are_named_by_their_april() -> None:
    assert [fiscal_year_label(y) for y in (2018, 2019, 2020, 2026)] == ["平成30", "令和元", "令和2", "令和8"]


def test_born_on_the_first_of_april_belongs_to_the_year_before() -> None:
    assert attained_on(date(2008, 4, 1), 18) == date(2026, 3, 31)
    assert fiscal_year_end_after(date(2008, 4, 1), 18) == date(2026, 3, 31)
    assert fiscal_year_end_after(date(2008, 4, 2), 18) == date(2027, 3, 31)


def test_the_office_is_closed_over_the_year_end_and_on_holidays() -> None:
    office = BusinessDays(closed=[date(2026, 11, 24)])
    assert not office.is_open(date(2026, 12, 29))
    assert not office.is_open(date(2026, 11, 23))  # 勤労感謝の日
    assert not office.is_open(date(2026, 9, 22))  # 国民の休日 between two holidays
    assert not office.is_open(date(2026, 11, 24))
    assert office.add(date(2026, 12, 28), 1) == date(2027, 1, 4)
    assert office.add(date(2027, 1, 4), -1) == date(2026, 12, 28)
    assert office.add(date(2026, 11, 21), 0) == date(2026, 11, 25)


@given(st.dates(date(2020, 1, 1), date(2030, 12, 31)), st.integers(1, 40))
def test_adding_and_counting_open_days_agree(day: date, count: int) -> None:
    office = BusinessDays()
    end = office.add(day, count)
    assert office.is_open(end)
    assert office.count(day, end) == count
