"""JSON Pointers (RFC 6901) over answers, with ``*`` for every element of a list, and conditions over what they find."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from pydantic import BaseModel, Field

from town_kit.jp import attained_on


def find(document: Any, pointer: str) -> list[tuple[str, Any]]:
    """Every place a pointer names, with its concrete pointer; a place that is not there is left out."""
    places: list[tuple[str, Any]] = [("", document)]
    for part in pointer.split("/")[1:]:
        places = [inner for place in places for inner in _step(*place, part)]
    return places


def _step(at: str, value: Any, part: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        chosen = range(len(value)) if part == "*" else [int(part)] if part.isdigit() and int(part) < len(value) else []
        yield from ((f"{at}/{index}", value[index]) for index in chosen)
    elif isinstance(value, dict) and part in value:
        yield f"{at}/{part}", value[part]


def value_at(document: Any, pointer: str) -> Any:
    """The value at a pointer without ``*``, or ``None`` when nothing stands there."""
    found = find(document, pointer)
    return found[0][1] if found else None


def is_given(value: Any) -> bool:
    """Whether somebody answered: not null, not empty."""
    return value not in (None, "", [], {})


def as_date(value: Any) -> date | None:
    """A date as the form writes it (``YYYY-MM-DD``), or ``None`` when it is not one."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


class Condition(BaseModel, frozen=True, extra="forbid"):
    """Something an answer must say; with ``*`` in the pointer one element is enough."""

    pointer: str = Field(pattern=r"^(/[^/]+)+$")
    one_of: tuple[str | bool | int, ...] | None = Field(None, description="holds when the value is one of these")
    given: bool | None = Field(None, description="holds when something (or, with false, nothing) is given there")
    younger_than: int | None = Field(None, description="holds when the date is a birth less than so many years ago")

    def holds(self, answers: Any, on: date) -> bool:
        """Whether the answers say so on a day."""
        values = [value for _, value in find(answers, self.pointer)]
        if self.given is not None:
            return any(is_given(value) for value in values) is self.given
        if self.younger_than is not None:
            births = [birth for value in values if (birth := as_date(value))]
            return any(attained_on(birth, self.younger_than) > on for birth in births)
        return any(value in (self.one_of or ()) for value in values)
