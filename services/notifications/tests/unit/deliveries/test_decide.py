"""What an attempt's outcome means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_notifications.channels import Lane, Outcome, Verdict
from town_notifications.deliveries.domain import LEASE, RETRY_AFTER, TRANSITIONS, State, decide

NOW = datetime(2027, 1, 12, tzinfo=UTC)
LONG = NOW + timedelta(days=30)
RETRY = Outcome(Verdict.RETRY, "503")


def judge(outcome: Outcome, tries: int = 1, lane: Lane = Lane.ORDINARY, valid_until: datetime = LONG) -> State:
    return decide(outcome, tries=tries, lane=lane, now=NOW, valid_until=valid_until, jitter=1).state


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict.SENT, State.SENT),
        (Verdict.RETRY, State.QUEUED),
        (Verdict.FAILED, State.FAILED),
        (Verdict.GONE, State.FAILED),
    ],
)
def test_a_verdict_has_one_meaning(verdict: Verdict, state: State) -> None:
    assert judge(Outcome(verdict, "x")) == state
    assert (State.SENDING, state) in TRANSITIONS


@pytest.mark.parametrize("lane", list(Lane))
def test_attempts_end_with_the_schedule(lane: Lane) -> None:
    last = len(RETRY_AFTER[lane])
    assert judge(RETRY, tries=last, lane=lane) == State.QUEUED
    assert judge(RETRY, tries=last + 1, lane=lane) == State.FAILED


@pytest.mark.parametrize("lane", list(Lane))
def test_each_pause_is_longer_than_the_one_before(lane: Lane) -> None:
    pauses = RETRY_AFTER[lane]
    assert list(pauses) == sorted(set(pauses))


def test_nothing_is_tried_after_the_message_has_lost_its_use() -> None:
    assert judge(RETRY, valid_until=NOW + timedelta(seconds=9)) == State.EXPIRED


@given(st.floats(0, 3600))
def test_the_provider_may_ask_for_a_longer_pause_never_for_a_shorter_one(seconds: float) -> None:
    outcome = Outcome(Verdict.RETRY, "429", retry_after=seconds)
    decision = decide(outcome, tries=1, lane=Lane.ORDINARY, now=NOW, valid_until=LONG, jitter=1)
    assert decision.next_attempt_at == NOW + max(timedelta(seconds=10), timedelta(seconds=seconds))


def test_a_lease_outlives_every_attempt() -> None:
    from town_notifications.channels import fcm, smtp

    assert fcm.TIMEOUT.total is not None
    assert LEASE.total_seconds() > 4 * max(fcm.TIMEOUT.total, smtp.TIMEOUT_SECONDS)
