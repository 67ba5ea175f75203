"""児童手当: amounts, first and last month, payment."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_standardization.adapters.child_allowance import rules
from town_standardization.adapters.child_allowance.rules import Child, first_month, monthly_amount, payment_month

OCTOBER = date(2024, 10, 1)


def test_a_student_counts_for_the_order_and_brings_nothing() -> None:
    children = [Child(date(2005, 5, 1)), Child(date(2011, 5, 1)), Child(date(2012, 5, 1))]
    assert [share.amount for share in rules.amounts(children, OCTOBER)] == [0, 10_000, 30_000]
    assert monthly_amount(children, OCTOBER) == 40_000


def test_a_student_whose_costs_others_bear_does_not_count() -> None:
    children = [Child(date(2005, 5, 1), supported=False), Child(date(2011, 5, 1)), Child(date(2012, 5, 1))]
    assert monthly_amount(children, OCTOBER) == 20_000


def test_the_order_goes_by_age_whatever_the_order_of_the_form() -> None:
    children = [Child(date(2012, 5, 1)), Child(date(2005, 5, 1)), Child(date(2011, 5, 1))]
    assert [share.order for share in rules.amounts(children, OCTOBER)] == [3, 1, 2]


@pytest.mark.parametrize(
    ("month", "amount"),
    [(date(2027, 6, 1), 15_000), (date(2027, 7, 1), 10_000)],
)
def test_the_rate_drops_in_the_month_after_the_third_birthday(month: date, amount: int) -> None:
    assert monthly_amount([Child(date(2024, 6, 11))], month) == amount


def test_born_on_the_first_of_a_month_keeps_the_rate_of_the_birthday_month() -> None:
    assert monthly_amount([Child(date(2024, 6, 1))], date(2027, 6, 1)) == 15_000
    assert monthly_amount([Child(date(2024, 6, 1))], date(2027, 7, 1)) == 10_000


def test_born_on_the_first_of_april_ends_a_year_before_the_second_of_april() -> None:
    first, second = Child(date(2008, 4, 1)), Child(date(2008, 4, 2))
    assert [monthly_amount([first], m) for m in (date(2026, 3, 1), date(2026, 4, 1))] == [10_000, 0]
    assert [monthly_amount([second], m) for m in (date(2027, 3, 1), date(2027, 4, 1))] == [10_000, 0]


def test_counting_ends_with_the_fiscal_year_of_twenty_two() -> None:
    others = [Child(date(2012, 5, 1)), Child(date(2013, 5, 1))]
    oldest = Child(date(2003, 4, 1))  # 22 on 2025-03-31
    assert monthly_amount([oldest, *others], date(2025, 3, 1)) == 40_000
    assert monthly_amount([oldest, *others], date(2025, 4, 1)) == 20_000


def test_the_third_child_under_three_brings_thirty_thousand() -> None:
    children = [Child(date(2020, 1, 5)), Child(date(2022, 1, 5)), Child(date(2024, 1, 5))]
    assert [share.amount for share in rules.amounts(children, OCTOBER)] == [10_000, 15_000, 30_000]


def test_a_child_not_in_custody_does_not_count() -> None:
    children = [Child(date(2020, 1, 5), in_custody=False), Child(date(2022, 1, 5)), Child(date(2023, 1, 5))]
    assert [share.amount for share in rules.amounts(children, OCTOBER)] == [0, 15_000, 15_000]


def test_there_is_no_table_before_the_reform() -> None:
    with pytest.raises(rules.NoTable):
        monthly_amount([Child(date(2020, 1, 5))], date(2024, 9, 1))


@pytest.mark.parametrize(
    ("claimed", "kind", "event", "start"),
    [
        (date(2026, 10, 5), "move_in", date(2026, 9, 28), date(2026, 10, 1)),  # 7 days later, in the next month
        (date(2026, 10, 13), "birth", date(2026, 9, 28), date(2026, 10, 1)),  # the fifteenth day
        (date(2026, 10, 14), "birth", date(2026, 9, 28), date(2026, 11, 1)),  # the sixteenth
        (date(2026, 10, 5), "other", date(2026, 9, 28), date(2026, 11, 1)),  # no such reason
        (date(2026, 10, 5), "birth", date(2026, 10, 1), date(2026, 11, 1)),
        (date(2026, 12, 31), "birth", date(2026, 12, 31), date(2027, 1, 1)),
        (date(2026, 10, 5), "move_in", date(2026, 11, 2), date(2026, 12, 1)),  # claimed before the move
    ],
)
def test_pay_begins_in_the_month_after_the_claim_or_within_fifteen_days_after_the_event(
    claimed: date, kind: str, event: date, start: date
) -> None:
    assert first_month(claimed, kind, event) == start


def test_pay_comes_in_even_months_for_the_two_before() -> None:
    months = {m: payment_month(date(2026, m, 1)).month for m in range(1, 13)}
    assert months == {12: 2, 1: 2, 2: 4, 3: 4, 4: 6, 5: 6, 6: 8, 7: 8, 8: 10, 9: 10, 10: 12, 11: 12}
    assert payment_month(date(2026, 12, 1)) == date(2027, 2, 1)


births = st.dates(date(2003, 1, 1), date(2026, 9, 30))


@given(st.lists(births, max_size=6), st.integers(0, 35))
def test_one_child_more_never_lowers_the_sum(days: list[date], later: int) -> None:
    month = date(2024 + (9 + later) // 12, (9 + later) % 12 + 1, 1)
    children = [Child(day) for day in days]
    for index in range(len(children)):
        fewer = children[:index] + children[index + 1 :]
        assert monthly_amount(fewer, month) <= monthly_amount(children, month)
