"""States of a hand-over and when it is tried again; no framework."""

from datetime import timedelta
from enum import StrEnum


class State(StrEnum):
    """待ち → 済み, or 保留 for a clerk, or 取りやめ."""

    WAITING = "waiting"
    DONE = "done"
    HELD = "held"
    DROPPED = "dropped"


LEASE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=15)


def pause(attempts: int) -> timedelta:
    """How long to wait after the ``attempts``-th try without an answer: 1, 2, 4 … seconds, at most 15 minutes."""
    return min(timedelta(seconds=2 ** min(attempts - 1, 20)), LONGEST_PAUSE)
