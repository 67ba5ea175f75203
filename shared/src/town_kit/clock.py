"""Time comes in through the door: stored as aware UTC, shown in Asia/Tokyo.

Every use case takes a :class:`Clock`; nothing else in the code base may ask the machine for the time.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

JST = ZoneInfo("Asia/Tokyo")


class Clock(Protocol):
    """Something that knows the present moment."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that asks the machine


class FixedClock:
    """A clock that stands still until it is moved; for tests and drills.

    ``FixedClock("2027-01-01T09:00+09:00")`` takes any ISO 8601 moment with an offset.
    """

    def __init__(self, moment: str | datetime) -> None:
        self._now = (datetime.fromisoformat(moment) if isinstance(moment, str) else moment).astimezone(UTC)

    def now(self) -> datetime:
        """The moment last set."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move the clock; a negative step moves it back."""
        self._now += by


def japan_date(moment: datetime) -> date:
    """The calendar date in Japan of an aware moment."""
    return moment.astimezone(JST).date()
