"""States of a delivery, the schedule of attempts, and what an attempt's outcome means; all of it data or pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from town_notifications.channels import Lane, Outcome, Verdict


class State(StrEnum):
    """Where a delivery stands. ``sent``: the provider took it; whether a person saw it is not known."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    HANDED_TO_STAFF = "handed_to_staff"


# A delivery whose worker died is taken up again when its lease is over: sending → sending.
TRANSITIONS: frozenset[tuple[State | None, State]] = frozenset(
    {
        (None, State.QUEUED),
        (None, State.SENT),  # the inbox: what stands there is there
        (State.QUEUED, State.SENDING),
        (State.SENDING, State.SENDING),
        (State.SENDING, State.SENT),
        (State.SENDING, State.QUEUED),
        (State.SENDING, State.FAILED),
        (State.SENDING, State.EXPIRED),
        (State.SENDING, State.CANCELLED),
        (State.QUEUED, State.CANCELLED),
        (State.QUEUED, State.HANDED_TO_STAFF),
        (State.QUEUED, State.EXPIRED),
    }
)

PENDING = (State.QUEUED, State.SENDING)

# Longer than any attempt may take, so that two workers never hold one delivery, even when one's clock is wrong.
CLOCK_ERROR = timedelta(minutes=5)
LEASE = timedelta(minutes=2) + CLOCK_ERROR

_S, _M, _H = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
RETRY_AFTER: Mapping[Lane, tuple[timedelta, ...]] = {
    Lane.ORDINARY: (10 * _S, 30 * _S, 2 * _M, 10 * _M, 30 * _M, 2 * _H, 6 * _H, 12 * _H, 24 * _H),
    Lane.EMERGENCY: (1 * _S, 2 * _S, 4 * _S, 8 * _S, 15 * _S, 30 * _S, 1 * _M, 2 * _M, 5 * _M, 10 * _M, 30 * _M),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a delivery after an attempt; ``next_attempt_at`` only where there is one."""

    state: State
    code: str
    next_attempt_at: datetime | None = None


def decide(
    outcome: Outcome, *, tries: int, lane: Lane, now: datetime, valid_until: datetime, jitter: float
) -> Decision:
    """Judge an attempt.

    Args:
        outcome: how it went.
        tries: attempts so far, this one included.
        lane: whose schedule holds.
        now: when it ended.
        valid_until: after which nothing is tried.
        jitter: factor for the pause, around 1.
    """
    if outcome.verdict is Verdict.SENT:
        return Decision(State.SENT, outcome.code)
    if outcome.verdict is not Verdict.RETRY:
        return Decision(State.FAILED, outcome.code)
    schedule = RETRY_AFTER[lane]
    if tries > len(schedule):
        return Decision(State.FAILED, outcome.code)
    pause = schedule[tries - 1] * jitter
    if outcome.retry_after is not None:
        pause = max(pause, timedelta(seconds=outcome.retry_after))
    if now + pause >= valid_until:
        return Decision(State.EXPIRED, outcome.code)
    return Decision(State.QUEUED, outcome.code, now + pause)
