"""States of an emergency message, and the check that what is sent is what was previewed."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from town_kit.problems import StateConflict

KIND = "emergency"
LONGEST_VALIDITY = timedelta(hours=72)


class State(StrEnum):
    """Where an emergency message stands."""

    CONFIRMED = "confirmed"
    DISPATCHED = "dispatched"
    CANCELLED = "cancelled"


class Status(StrEnum):
    """What it is, as in CAP 1.2: only ``actual`` reaches anybody; a drill counts whom it would have reached."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    TEST = "test"


LABELS = {State.CONFIRMED: "配信中", State.DISPATCHED: "配信指示済", State.CANCELLED: "取消し"}

TRANSITIONS: frozenset[tuple[State | None, State]] = frozenset(
    {
        (None, State.CONFIRMED),
        (State.CONFIRMED, State.DISPATCHED),
        (State.CONFIRMED, State.CANCELLED),
        (State.DISPATCHED, State.CANCELLED),
    }
)


def move(current: State | None, to: State) -> State:
    """The state after a move.

    Raises:
        StateConflict: the table does not know the move.
    """
    if (current, to) not in TRANSITIONS:
        raise StateConflict("この緊急情報は、すでに取り消されています。")
    return to


def content_digest(texts: Mapping[str, Mapping[str, str]], status: Status, valid_hours: int) -> str:
    """What a preview was a preview of; sending asks for it, so that nobody sends what nobody has seen."""
    content = {"texts": texts, "status": status.value, "valid_hours": valid_hours}
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
