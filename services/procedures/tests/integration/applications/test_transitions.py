"""The whole table of transitions on real rows: each move it knows is made and told, every other is refused."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from town_kit.problems import StateConflict
from town_procedures.applications.domain import TRANSITIONS, Actor, State
from town_procedures.applications.errors import DraftMissing
from town_procedures.applications.models import Application

ROW = "SELECT state, version, status_sequence, event_sequence, due_on FROM applications WHERE id = :id"


async def told(api: Any, application_id: Any) -> list[tuple[str, int]]:
    query = "SELECT type, sequence FROM outbox WHERE key = :id ORDER BY seq"
    return [(row.type, row.sequence) for row in await api.rows(query, id=application_id)]


@pytest.mark.parametrize(
    ("current", "to"), list(TRANSITIONS), ids=lambda state: state.value if isinstance(state, State) else "nothing"
)
async def test_a_move_of_the_table_is_made_and_told_by_number(
    api: Any, moves: Any, current: State | None, to: State
) -> None:
    way = [*moves.way_to(current), to]
    application_id = await moves.walk(way)
    steps = list(pairwise([None, *way]))
    (row,) = await api.rows(ROW, id=application_id)
    assert (row.state, row.version) == (to.value, len(way))
    assert row.event_sequence == len(way)
    assert row.status_sequence == len(way) + (way[0] != "pending_verification")
    assert await told(api, application_id) == [(TRANSITIONS[step].TYPE, n) for n, step in enumerate(steps, start=1)]
    query = "SELECT from_state, to_state FROM application_transitions WHERE application_id = :id ORDER BY sequence"
    timeline = [tuple(row) for row in await api.rows(query, id=application_id)]
    assert timeline == [(before.value if before else None, after.value) for before, after in steps]


async def test_a_move_the_table_does_not_know_is_a_conflict_and_leaves_the_row_as_it_was(api: Any, moves: Any) -> None:
    tried = 0
    for current in State:
        application_id = await moves.walk(moves.way_to(current))
        before = await api.rows(ROW, id=application_id), await told(api, application_id)
        for to in State:
            if (current, to) in TRANSITIONS:
                continue
            with pytest.raises(StateConflict):
                await moves.make(application_id, to)
            assert (await api.rows(ROW, id=application_id), await told(api, application_id)) == before
            tried += 1
    assert tried == len(State) ** 2 - sum(current is not None for current, _ in TRANSITIONS)


@pytest.mark.parametrize("to", [state for state in State if (None, state) not in TRANSITIONS])
async def test_nothing_begins_in_the_middle(api: Any, to: State) -> None:
    with pytest.raises(StateConflict):
        Application().begin(to, at=api.clock.now(), by=Actor("staff"))


async def test_where_two_people_decide_no_state_lets_one_decide_alone(api: Any, moves: Any) -> None:
    for current in (State.ACCEPTED, State.IN_REVIEW, State.APPROVED, State.REJECTED, State.COMPLETED):
        application_id = await moves.walk(moves.way_to(current))
        await api.rows(
            "UPDATE applications SET two_person_decision = true WHERE id = :id RETURNING 1", id=application_id
        )
        for to in {State.APPROVED, State.REJECTED} - {current}:
            with pytest.raises(DraftMissing):
                await moves.make(application_id, to)


async def test_the_deadline_clock_stops_during_a_correction_and_runs_on_after_it(api: Any, moves: Any) -> None:
    application_id = await moves.walk([State.SUBMITTED, State.ACCEPTED], "CH-01")
    query = "SELECT due_on::text, clock_stopped_on::text FROM applications WHERE id = :id"
    (before,) = await api.rows(query, id=application_id)
    assert tuple(before) == ("2027-02-02", None)  # 15 working days after 12 January
    api.clock.advance(timedelta(days=2))
    await moves.make(application_id, State.CORRECTION_REQUESTED)
    (stopped,) = await api.rows(query, id=application_id)
    assert tuple(stopped) == ("2027-02-02", "2027-01-14")
    api.clock.advance(timedelta(days=6))  # Thursday → Wednesday: 15, 18, 19, 20 January
    application = await moves.make(application_id, State.IN_REVIEW)
    (after,) = await api.rows(query, id=application_id)
    assert tuple(after) == ("2027-02-08", None)
    assert application.facts()["due_on"] == "2027-02-08"


async def test_a_correction_moves_no_deadline_past_the_thirty_days_of_the_law(api: Any, moves: Any) -> None:
    application_id = await moves.filed(State.SUBMITTED)
    query = "SELECT due_on::text, due_at_latest::text FROM applications WHERE id = :id"
    (before,) = await api.rows(query, id=application_id)
    assert tuple(before) == ("2027-02-09", "2027-02-11")
    await moves.make(application_id, State.ACCEPTED)
    await moves.make(application_id, State.CORRECTION_REQUESTED)
    api.clock.advance(timedelta(days=14))
    await moves.make(application_id, State.IN_REVIEW)
    (after,) = await api.rows(query, id=application_id)
    assert tuple(after) == ("2027-02-11", "2027-02-11")
