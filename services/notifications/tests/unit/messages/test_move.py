"""A message ends delivered, expired or in human hands, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from town_kit.ids import new_id
from town_kit.problems import StateConflict
from town_notifications.messages.domain import ENDED, TRANSITIONS, State, hand_over_at, move, recipients

NOW = datetime(2027, 1, 12, tzinfo=UTC)


def test_every_state_leads_to_an_end() -> None:
    reached = {to for _, to in TRANSITIONS}
    assert reached == set(State)
    assert {to for frm, to in TRANSITIONS if frm is State.QUEUED} == ENDED


@pytest.mark.parametrize("ended", [State.DELIVERED, State.EXPIRED])
@pytest.mark.parametrize("to", list(State))
def test_what_is_delivered_or_expired_stays_so(ended: State, to: State) -> None:
    with pytest.raises(StateConflict):
        move(ended, to)


def test_a_letter_has_five_days_and_a_short_message_half_its_time() -> None:
    assert hand_over_at(NOW, NOW + timedelta(days=30)) == NOW + timedelta(days=25)
    assert hand_over_at(NOW, NOW + timedelta(hours=24)) == NOW + timedelta(hours=12)


def test_a_person_who_is_applicant_and_proxy_is_told_once() -> None:
    one, other = new_id(), new_id()
    assert recipients([("applicant", one), ("proxy", one), ("subject", other)]) == [one]


def test_where_nobody_is_known_there_is_one_message_for_staff() -> None:
    assert recipients([("applicant", None), ("subject", new_id())]) == [None]
