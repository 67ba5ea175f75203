"""営業日: the days on which the town office is open."""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache

import jpholiday

_YEAR_END = frozenset({(12, 29), (12, 30), (12, 31), (1, 1), (1, 2), (1, 3)})


class BusinessDays:
    """The calendar of an office: closed on Saturdays, Sundays, public holidays and 29 December to 3 January.

    Source: 地方自治法 第4条の2 (地方公共団体の休日), 国民の祝日に関する法律.

    Args:
        closed: the town's own further closed days.
    """

    def __init__(self, closed: Iterable[date] = ()) -> None:
        self._closed = frozenset(closed)

    def is_open(self, day: date) -> bool:
        """Whether the office is open on ``day``."""
        return (
            day.weekday() < 5
            and (day.month, day.day) not in _YEAR_END
            and day not in self._closed
            and not _is_public_holiday(day)
        )

    def on_or_after(self, day: date) -> date:
        """``day``, or the next open day when the office is closed then."""
        while not self.is_open(day):
            day += timedelta(days=1)
        return day

    def add(self, day: date, count: int) -> date:
        """The open day that is ``count`` open days after ``day`` (before it, when negative); ``day`` is not counted.

        With 0 it is :meth:`on_or_after`.
        """
        if count == 0:
            return self.on_or_after(day)
        step = timedelta(days=1 if count > 0 else -1)
        left = abs(count)
        while left:
            day += step
            left -= self.is_open(day)
        return day

    def count(self, after: date, until: date) -> int:
        """How many open days lie after ``after`` up to and including ``until``; 0 when there are none."""
        return sum(self.is_open(after + timedelta(days=n)) for n in range(1, (until - after).days + 1))


@lru_cache(maxsize=4096)
def _is_public_holiday(day: date) -> bool:
    return bool(jpholiday.is_holiday(day))
