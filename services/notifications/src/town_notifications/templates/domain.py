"""Texts with placeholders, and the pure function that fills them in.

A placeholder stands in braces (``{reference}``) and must be on the list below. None of them is a name, an address or a
number of a person. What a push service and a lock screen see (:class:`Push`) knows the town's name only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from string import Formatter

from town_kit.jp import Wareki
from town_notifications.languages import Language

TITLE_LIMIT = 200
BODY_LIMIT = 4000
PLACEHOLDERS = frozenset({"town", "procedure", "reference", "next_step", "expected_date", "received_date"})
PUSH_PLACEHOLDERS = frozenset({"town"})


class Unreached(StrEnum):
    """What becomes of a message no channel can bring: the letter list, the phone list, or nothing (it expires)."""

    LETTERS = "letters"
    PHONE = "phone"
    EXPIRE = "expire"


class TemplateInvalid(ValueError):
    """A text breaks a rule; the message names the rule, never the text."""


@dataclass(frozen=True, slots=True)
class Text:
    """Title and body of one language, with placeholders.

    Raises:
        TemplateInvalid: a placeholder is not on the list, or a part is empty or too long.
    """

    title: str
    body: str

    def __post_init__(self) -> None:
        _check(self.title, PLACEHOLDERS, TITLE_LIMIT)
        _check(self.body, PLACEHOLDERS, BODY_LIMIT)
        if "\n" in self.title or "\r" in self.title:
            raise TemplateInvalid("a title is one line")


@dataclass(frozen=True, slots=True)
class Push:
    """What a push notification shows: nothing about the person or her matter, only that there is something to read."""

    title: str
    body: str

    def __post_init__(self) -> None:
        _check(self.title, PUSH_PLACEHOLDERS, TITLE_LIMIT)
        _check(self.body, PUSH_PLACEHOLDERS, TITLE_LIMIT)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of message, such as ``application.approved``.

    Attributes:
        name: topic noun and fact.
        version: of the town-wide text.
        notify: whether the fact is told at all.
        valid_days: how long the message is worth bringing.
        unreached: what happens when no channel brings it.
        texts: town-wide text for each language, used where a procedure has none of its own.
        next_steps: what the person does next, for each language; the value of ``{next_step}``.
    """

    name: str
    version: str
    notify: bool
    valid_days: int
    unreached: Unreached
    texts: Mapping[Language, Text]
    next_steps: Mapping[Language, str]

    def __post_init__(self) -> None:
        if set(self.texts) != set(Language) or set(self.next_steps) != set(Language):
            raise TemplateInvalid(f"{self.name} must speak every language")


@dataclass(frozen=True, slots=True)
class SharedTexts:
    """Texts that belong to no kind: what a push shows, how a mail ends, the mail with a confirmation code."""

    version: str
    push: Mapping[Language, Push]
    mail_footer: Mapping[Language, str]
    confirmation_title: Mapping[Language, str]
    confirmation_body: Mapping[Language, str]
    unknown: Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text filled in, with the version of the template it came from."""

    language: Language
    title: str
    body: str
    version: str


def render(text: Text, values: Mapping[str, str], *, language: Language, version: str) -> Rendered:
    """Fill the placeholders of ``text``; pure, and the same for equal arguments.

    Args:
        text: checked when it was made.
        values: a string for each placeholder on the list; what is missing makes the rendering fail.
        language: of the text.
        version: of the template.

    Raises:
        TemplateInvalid: a placeholder has no value.
    """
    return Rendered(language, fill(text.title, values), fill(text.body, values), version)


def fill(template: str, values: Mapping[str, str]) -> str:
    """``template`` with its placeholders replaced; a value is never read as a template again.

    Raises:
        TemplateInvalid: a placeholder has no value.
    """
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            if name not in values:
                raise TemplateInvalid("a placeholder has no value")
            parts.append(values[name])
    return "".join(parts)


def show_date(day: date, language: Language) -> str:
    """A date as people of that language read it: 令和9年1月12日, 2027年1月12日, 12 January 2027."""
    if language is Language.JA:
        return str(Wareki.of(day).format())
    if language is Language.JA_SIMPLE:
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _check(template: str, allowed: frozenset[str], limit: int) -> None:
    if not template.strip() or len(template) > limit:
        raise TemplateInvalid("a text is empty or too long")
    try:
        fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template)]
    except ValueError:
        raise TemplateInvalid("a brace is not closed") from None
    for name, spec, conversion in fields:
        if name is not None and (name not in allowed or spec or conversion):
            raise TemplateInvalid("a placeholder is not on the list")


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
