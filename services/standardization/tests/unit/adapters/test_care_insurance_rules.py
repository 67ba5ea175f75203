"""介護保険: how long a certification may hold."""

from datetime import date

import pytest

from town_standardization.adapters.care_insurance import rules


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 10, 5), 6, date(2027, 4, 30)),  # the rest of October, then six months
        (date(2026, 10, 1), 6, date(2027, 3, 31)),
        (date(2026, 12, 1), 12, date(2027, 11, 30)),
        (date(2026, 8, 15), 6, date(2027, 2, 28)),
        (date(2026, 12, 31), 3, date(2027, 3, 31)),
        (date(2027, 8, 2), 6, date(2028, 2, 29)),
    ],
)
def test_a_term_is_full_months_and_the_rest_of_the_first(start: date, months: int, end: date) -> None:
    assert rules.last_day(start, months) == end


def test_terms_come_from_the_table_of_the_day() -> None:
    before, after = rules.term("2", date(2021, 3, 31)), rules.term("2", date(2021, 4, 1))
    assert (before.limit(same_level=True), after.limit(same_level=True), after.limit(same_level=False)) == (36, 48, 36)
    new = rules.term("1", date(2026, 10, 5))
    assert (new.standard, new.shortest, new.longest) == (6, 3, 12)


def test_an_unknown_kind_or_day_has_no_table() -> None:
    with pytest.raises(rules.NoTable):
        rules.term("7", date(2026, 10, 5))
    with pytest.raises(rules.NoTable):
        rules.term("1", date(2018, 3, 31))


def test_a_renewal_begins_where_the_last_one_ended() -> None:
    assert rules.first_day("2", date(2026, 10, 5), date(2026, 11, 30)) == date(2026, 12, 1)
    assert rules.first_day("1", date(2026, 10, 5), None) == date(2026, 10, 5)


def test_a_decision_is_due_in_thirty_days() -> None:
    assert rules.decision_due(date(2026, 10, 5)) == date(2026, 11, 4)
