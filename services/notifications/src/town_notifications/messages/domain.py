"""States of a message and the moves between them, as data."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from town_kit.problems import StateConflict
from town_notifications.messages import events as fact

RECIPIENT_ROLES = ("applicant", "proxy")  # who filed, and in whose name; others are told by them
NEAR_THE_END = timedelta(days=5)  # a letter needs so long; a message still queued then goes to the list
SHORT_VALIDITY = timedelta(days=7)  # one that is valid for less is handed over at half of its time


class State(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    HANDED_TO_STAFF = "handed_to_staff"


class ListName(StrEnum):
    """一覧の名前 — the day's list on which staff find a message no channel brought."""

    LETTERS = "letters"
    PHONE = "phone"


class Reason(StrEnum):
    """Why a message is on a list."""

    NO_CHANNEL = "no_channel"
    ALL_FAILED = "all_failed"
    EXPIRING = "expiring"


class Handling(StrEnum):
    """職員の対応 — what staff did with it."""

    POSTED = "posted"
    PHONED = "phoned"
    VISITED = "visited"
    UNNECESSARY = "unnecessary"


# (from, to) → what is told. Reading a message in the app delivers it, also when it is on a list already.
TRANSITIONS: dict[tuple[State | None, State], type[fact.MessageEvent]] = {
    (None, State.QUEUED): fact.MessageQueued,
    (None, State.HANDED_TO_STAFF): fact.MessageHandedToStaff,
    (State.QUEUED, State.DELIVERED): fact.MessageDelivered,
    (State.QUEUED, State.EXPIRED): fact.MessageExpired,
    (State.QUEUED, State.HANDED_TO_STAFF): fact.MessageHandedToStaff,
    (State.HANDED_TO_STAFF, State.DELIVERED): fact.MessageDelivered,
}

ENDED = frozenset({State.DELIVERED, State.EXPIRED, State.HANDED_TO_STAFF})


def move(current: State | None, to: State) -> type[fact.MessageEvent]:
    """The event of a move.

    Raises:
        StateConflict: the table does not know the move.
    """
    event = TRANSITIONS.get((current, to))
    if event is None:
        raise StateConflict("このお知らせの扱いは終わっています。画面を読み直してください。")
    return event


def hand_over_at(created_at: datetime, valid_until: datetime) -> datetime:
    """When a message still on its way is given to staff, so that a letter arrives in time."""
    validity = valid_until - created_at
    return created_at + validity / 2 if validity < SHORT_VALIDITY else valid_until - NEAR_THE_END


def recipients(parties: Iterable[tuple[str, UUID | None]]) -> list[UUID | None]:
    """Who is told about an application: each known applicant and proxy once; nobody known is one unknown person."""
    known = list(dict.fromkeys(person for role, person in parties if role in RECIPIENT_ROLES and person is not None))
    return list(known) or [None]
