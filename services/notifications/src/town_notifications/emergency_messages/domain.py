"""States of an emergency message, and the check that what is sent is what was previewed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from town_kit.problems import StateConflict

KIND = "emergency"


class State(StrEnum):
    """緊急情報の状態 — where an emergency message stands."""

    CONFIRMED = "confirmed"
    DISPATCHED = "dispatched"
    CANCELLED = "cancelled"


class Status(StrEnum):
    """種別 — what it is, as in CAP 1.2: only ``actual`` reaches anybody; a drill counts whom it would have reached."""

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
        raise StateConflict("この緊急情報は、すでに取り消されています。画面を読み直してください。")
    return to


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be sent: language → {title, body}, its status, and for how many hours it is valid."""

    texts: Mapping[str, Mapping[str, str]]
    status: Status
    valid_hours: int

    @property
    def digest(self) -> str:
        """What a preview was a preview of; sending asks for it, so that nobody sends what nobody has seen."""
        content = {"texts": self.texts, "status": self.status.value, "valid_hours": self.valid_hours}
        return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
