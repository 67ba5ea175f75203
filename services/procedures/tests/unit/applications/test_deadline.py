"""見込みの日: working days, what a law allows at most, and the clock that stands still during a correction."""

from datetime import date

import pytest

from town_kit.jp import BusinessDays
from town_kit.problems import StateConflict
from town_procedures.applications.domain import (
    ALONE,
    CLOCK_STOPPED,
    DECISIONS,
    OPEN,
    TRANSITIONS,
    Deadline,
    State,
    clock,
    deadline,
    move,
)
from town_procedures.applications.errors import DraftMissing

CALENDAR = BusinessDays()
TUESDAY = date(2027, 1, 12)


def test_the_period_counts_working_days_after_the_day_of_arrival() -> None:
    assert deadline(TUESDAY, 5, None, CALENDAR).due_on == date(2027, 1, 19)


def test_a_law_in_calendar_days_ends_a_period_that_would_be_longer() -> None:
    """介護保険法27条11項: twenty working days over the turn of the year are longer than thirty days."""
    arrived = date(2026, 12, 17)
    assert deadline(arrived, 20, None, CALENDAR).due_on == date(2027, 1, 21)
    assert deadline(arrived, 20, 30, CALENDAR).due_on == date(2027, 1, 16)
    assert deadline(TUESDAY, 20, 30, CALENDAR).due_on == CALENDAR.add(TUESDAY, 20) < date(2027, 2, 11)


def test_a_procedure_may_have_one_period_or_none() -> None:
    assert deadline(TUESDAY, None, 30, CALENDAR).due_on == date(2027, 2, 11)
    assert deadline(TUESDAY, None, None, CALENDAR) == Deadline(None)


def test_the_clock_stands_for_the_working_days_of_a_correction() -> None:
    running = Deadline(date(2027, 1, 29))
    stopped = clock(running, State.CORRECTION_REQUESTED, date(2027, 1, 14), CALENDAR)
    assert stopped == Deadline(date(2027, 1, 29), None, date(2027, 1, 14))
    back = clock(stopped, State.IN_REVIEW, date(2027, 1, 19), CALENDAR)  # Thursday → Tuesday: Fri, Mon, Tue
    assert back == Deadline(date(2027, 2, 3))


@pytest.mark.parametrize("day", [14, 16, 17])
def test_a_correction_that_costs_no_working_day_moves_nothing(day: int) -> None:
    stopped = Deadline(date(2027, 1, 29), None, date(2027, 1, 14 if day == 14 else 15))
    assert clock(stopped, State.IN_REVIEW, date(2027, 1, day), CALENDAR).due_on == date(2027, 1, 29)


def test_no_correction_moves_the_deadline_past_what_a_law_allows() -> None:
    stopped = Deadline(date(2027, 2, 9), date(2027, 2, 11), date(2027, 1, 14))
    assert clock(stopped, State.IN_REVIEW, date(2027, 1, 29), CALENDAR).due_on == date(2027, 2, 11)


def test_a_move_between_states_whose_clock_runs_changes_nothing() -> None:
    running = Deadline(date(2027, 1, 29), date(2027, 2, 11))
    for state in set(State) - CLOCK_STOPPED:
        assert clock(running, state, date(2027, 1, 20), CALENDAR) == running


def test_two_people_take_away_every_decision_that_is_not_of_a_draft() -> None:
    deciding = {(current, to) for current, to in TRANSITIONS if to in DECISIONS}
    by_a_draft = {(State.DRAFTED, State.APPROVED), (State.DRAFTED, State.REJECTED)}
    assert deciding - ALONE == by_a_draft | {(State.PENDING_VERIFICATION, State.REJECTED)}
    for current, to in ALONE:
        assert move(current, to) is TRANSITIONS[current, to]
        with pytest.raises(DraftMissing):
            move(current, to, two_person_decision=True)
    for current, to in TRANSITIONS.keys() - ALONE:
        assert move(current, to, two_person_decision=True) is TRANSITIONS[current, to]


def test_before_the_decision_everything_open_can_be_withdrawn_and_nothing_after_it() -> None:
    decided = DECISIONS | {State.COMPLETED}
    for state in State:
        if state in OPEN - decided:
            assert move(state, State.WITHDRAWN)
        else:
            with pytest.raises(StateConflict):
                move(state, State.WITHDRAWN)
