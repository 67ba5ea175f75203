"""The profile of a portal: paths, fields and codes of an interface that is known only under contract, as a file.

The flow (login, list, get by 受付番号, status) is public and is code; all else is data with a mark of its source, so
that nothing invented is taken for official. A profile that is not filled refuses to load.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from town_kit import profiles
from town_kit.profiles import Marked

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class AnswerUnreadable(ValueError):
    """The portal's answer does not hold what the profile says; the message names the path, never the content."""


class Call(Marked):
    """One call to the portal.

    Attributes:
        method, path, query, body: what is sent; ``{name}`` stands for a value of the connector.
        fields: our name → where it stands in the answer (``$.a.b``).
        already_done: statuses that say the same was done before.
        source: where this is known from.
    """

    method: str
    path: str
    query: dict[str, str] = Field(default_factory=dict)
    body: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, str] = Field(default_factory=dict)
    already_done: tuple[int, ...] = ()


class ListCall(Call):
    """The call that lists applications page by page.

    Attributes:
        first_cursor: where to begin.
        items: where the list stands in the answer.
        next_cursor: where the next cursor stands.
    """

    first_cursor: str
    items: str
    next_cursor: str


class ReceiptCall(Call):
    """The call that tells 受領; ``every_revision``: also for a corrected package, not only for the first."""

    every_revision: bool


class TokenHeader(Marked):
    """The header that carries the portal's token."""

    name: str
    value: str


class Told(Marked):
    """What the portal is told about one fact."""

    code: str
    message: str


class Profile(profiles.Profile, Marked):
    """The interface of one portal as the connector speaks it."""

    login: Call
    token_header: TokenHeader
    list: ListCall
    package: Call
    receipt: ReceiptCall
    status: Call
    statuses: dict[str, Told]

    @property
    def gaps(self) -> tuple[str, ...]:
        """Every place that has no value yet."""
        empty = list(_empty("", self.model_dump(exclude={"statuses"})))
        needed = {
            "login.fields": ({"token", "expires_in"}, self.login.fields),
            "list.fields": ({"receipt_no", "revision", "received_at", "mynaportal_procedure_id"}, self.list.fields),
        }
        for place, (names, given) in needed.items():
            empty.extend(f"{place}.{name}" for name in sorted(names - given.keys()))
        for place, call in (("login", self.login), ("receipt", self.receipt), ("status", self.status)):
            if not call.body:
                empty.append(f"{place}.body")
        if not self.statuses:
            empty.append("statuses")
        return tuple(empty)


def load_profile(name_or_path: str) -> Profile:
    """A shipped profile by name (``sandbox``, ``production``), or a file: :func:`town_kit.profiles.load_profile`."""
    return profiles.load_profile(Profile, __package__, "マイナポータル", name_or_path)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Put values into a template; a string that is one placeholder keeps the value's type."""
    if isinstance(template, dict):
        return {key: fill(part, values) for key, part in template.items()}
    if not isinstance(template, str):
        return template
    whole = _PLACEHOLDER.fullmatch(template)
    if whole:
        return values[whole[1]]
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), template)


def read(document: Any, path: str) -> Any:
    """The member of a parsed answer at ``$.a.b``.

    Raises:
        AnswerUnreadable: there is no such member.
    """
    found = document
    for name in path.removeprefix("$").strip(".").split("."):
        if not name:
            continue
        if not isinstance(found, dict) or name not in found:
            raise AnswerUnreadable(path)
        found = found[name]
    return found


def read_fields(document: Any, fields: Mapping[str, str]) -> dict[str, str]:
    """All named fields of an answer, as text.

    Raises:
        AnswerUnreadable: one is missing, or is not text or a number.
    """
    values = {}
    for name, path in fields.items():
        value = read(document, path)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise AnswerUnreadable(path)
        values[name] = str(value)
    return values


def _empty(place: str, part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from _empty(f"{place}.{name}" if place else name, inner)
    elif part == "":
        yield place
