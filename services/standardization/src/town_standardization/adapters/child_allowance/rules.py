"""児童手当の額と期間 (児童手当法 第6条・第8条): months of pay, amounts, payment months. Pure, from dated tables.

A month is the first day of that month. Money is yen a month.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import yaml

from town_kit.jp import fiscal_year_end_after
from town_kit.profiles import Marked, Part


class NoTable(LookupError):
    """No table of rates holds in that month."""


class Band(Part):
    """The two amounts of an age band; ``age`` is where it ends."""

    age: int
    first_and_second: int
    third_and_later: int


class Table(Marked):
    """The rates from a day on."""

    valid_from: date
    basis: str
    income_limit: Literal["none"]
    under_years: Band
    until_fiscal_year_of: Band
    counted_until_fiscal_year_of: int


class Claim(Marked):
    """When a claim counts as made in the month of its event (15日特例)."""

    basis: str
    days_counted_as_made_in_the_month: int
    events: tuple[str, ...]


class Payment(Marked):
    """When what was earned is paid."""

    basis: str
    months: tuple[int, ...]


class Rules(Part):
    """``rates.yaml``."""

    tables: tuple[Table, ...]
    claim: Claim
    payment: Payment

    def table(self, month: date) -> Table:
        """The table that holds in a month.

        Raises:
            NoTable: the month lies before all of them.
        """
        holding = [table for table in self.tables if table.valid_from <= month]
        if not holding:
            raise NoTable("no rates for that month")
        return max(holding, key=lambda table: table.valid_from)


RULES = Rules.model_validate(yaml.safe_load(Path(__file__).with_name("rates.yaml").read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class Child:
    """児童, or a child up to 22 who counts for the order.

    Attributes:
        birth: the birth date.
        in_custody: whether the claimant has 監護 of the child; without it the child brings nothing and does not count.
        supported: after the 年度 of the 18th birthday, whether the claimant cares for the child and bears living costs.
    """

    birth: date
    in_custody: bool = True
    supported: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """What one child brings in one month: its place in the order (null where it does not count) and the amount."""

    order: int | None
    amount: int


def next_month(month: date) -> date:
    """The first day of the month after."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def amounts(children: Sequence[Child], month: date, rules: Rules = RULES) -> list[Share]:
    """What each child brings in a month, in the order given.

    Children are counted oldest first while they count at all; twins keep the order given.

    Raises:
        NoTable: no rates hold in that month.
    """
    table = rules.table(month)
    counted = sorted(
        (index for index, child in enumerate(children) if _counts(child, month, table)),
        key=lambda index: (children[index].birth, index),
    )
    order = {index: place for place, index in enumerate(counted, start=1)}
    return [
        Share(order.get(index), _amount(child, order.get(index), month, table)) for index, child in enumerate(children)
    ]


def monthly_amount(children: Sequence[Child], month: date, rules: Rules = RULES) -> int:
    """The allowance of a month, in yen."""
    return sum(share.amount for share in amounts(children, month, rules))


def first_month(claimed_on: date, event_kind: str, event_on: date, rules: Rules = RULES) -> date:
    """The first month of pay: the one after the claim (児童手当法 第8条第2項).

    A claim made within 15 days from the day after a birth, a move or the like counts as made on the day of the event
    (第8条第3項). Pay never begins before the month after the event.
    """
    claim = rules.claim
    in_time = claimed_on <= event_on + timedelta(days=claim.days_counted_as_made_in_the_month)
    counts_from = event_on if event_kind in claim.events and in_time else max(claimed_on, event_on)
    return next_month(counts_from)


def payment_month(month: date, rules: Rules = RULES) -> date:
    """The month in which the allowance of ``month`` is paid: the next even one (児童手当法 第8条第4項)."""
    paid = next_month(month)
    while paid.month not in rules.payment.months:
        paid = next_month(paid)
    return paid


def _counts(child: Child, month: date, table: Table) -> bool:
    if child.birth >= month or not child.in_custody:
        return False
    if month <= fiscal_year_end_after(child.birth, table.until_fiscal_year_of.age):
        return True
    return child.supported and month <= fiscal_year_end_after(child.birth, table.counted_until_fiscal_year_of)


def _amount(child: Child, order: int | None, month: date, table: Table) -> int:
    if order is None or month > fiscal_year_end_after(child.birth, table.until_fiscal_year_of.age):
        return 0
    young = (month.year, month.month) <= (child.birth.year + table.under_years.age, child.birth.month)
    band = table.under_years if young else table.until_fiscal_year_of
    return band.third_and_later if order >= 3 else band.first_and_second
