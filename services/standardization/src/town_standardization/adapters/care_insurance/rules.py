"""認定有効期間 (介護保険法施行規則 第38条ほか): how long a certification may hold, until when. Pure, dated tables."""

import calendar
from datetime import date, timedelta
from pathlib import Path

import yaml

from town_kit.profiles import Marked, Part


class NoTable(LookupError):
    """No table holds on that day, or it does not know the kind of application."""


class Term(Part):
    """Months: what is usual and what the review board may set."""

    standard: int
    shortest: int
    longest: int
    longest_same_level: int | None = None

    def limit(self, *, same_level: bool) -> int:
        """The most months the board may set."""
        return self.longest_same_level if same_level and self.longest_same_level else self.longest


class Table(Marked):
    """The terms from a day on, by 申請区分."""

    valid_from: date
    basis: str
    kinds: dict[str, Term]


class Days(Marked):
    """A number of days with where it comes from."""

    value: int
    basis: str


class Rules(Part):
    """``terms.yaml``."""

    decision_days: Days
    tables: tuple[Table, ...]


RULES = Rules.model_validate(yaml.safe_load(Path(__file__).with_name("terms.yaml").read_text(encoding="utf-8")))


def term(kind: str, on: date, rules: Rules = RULES) -> Term:
    """The term of a 申請区分 for an application of a day.

    Raises:
        NoTable: none holds.
    """
    holding = [table for table in rules.tables if table.valid_from <= on]
    if not holding or kind not in (table := max(holding, key=lambda one: one.valid_from)).kinds:
        raise NoTable("no term")
    return table.kinds[kind]


def first_day(kind: str, applied_on: date, previous_end: date | None) -> date:
    """The first day of a certification: of a renewal the day after the last one ended, else the day of application."""
    if kind == "2" and previous_end is not None:
        return previous_end + timedelta(days=1)
    return applied_on


def last_day(start: date, months: int) -> date:
    """The last day: full calendar months, counted from the next month on unless the start is a first day of a month.

    Source: 介護保険法施行規則 第38条第2項 (the rest of the first month is added).
    """
    extra = 0 if start.day == 1 else 1
    index = start.year * 12 + start.month - 1 + months - 1 + extra
    year, month = divmod(index, 12)
    return date(year, month + 1, calendar.monthrange(year, month + 1)[1])


def decision_due(applied_on: date, rules: Rules = RULES) -> date:
    """By when a decision, or a notice of delay (延期通知), must be out."""
    return applied_on + timedelta(days=rules.decision_days.value)
