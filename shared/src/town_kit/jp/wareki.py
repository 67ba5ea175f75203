"""和暦 and 年度: dates as a Japanese office writes them."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

# Since 1873-01-01 the Japanese calendar is the Gregorian one (明治五年太政官布告第337号).
GREGORIAN_SINCE: Final = date(1873, 1, 1)


@dataclass(frozen=True, slots=True)
class Era:
    """元号: its name, its letter, its first day, and the year that is its 元年."""

    name: str
    letter: str
    begins: date
    first_year: int


ERAS: Final = (
    Era("令和", "R", date(2019, 5, 1), 2019),
    Era("平成", "H", date(1989, 1, 8), 1989),
    Era("昭和", "S", date(1926, 12, 25), 1926),
    Era("大正", "T", date(1912, 7, 30), 1912),
    Era("明治", "M", GREGORIAN_SINCE, 1868),
)
_LONG = re.compile(r"(明治|大正|昭和|平成|令和)(元|[0-9]{1,2})年([0-9]{1,2})月([0-9]{1,2})日\Z")
_SHORT = re.compile(r"([MTSHR])([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{1,2})\Z")


@dataclass(frozen=True, slots=True)
class Wareki:
    """A date in the Japanese calendar."""

    era: str
    year: int
    month: int
    day: int

    @classmethod
    def of(cls, day: date) -> Self:
        """The Japanese date of ``day``.

        Raises:
            ValueError: before 1873, when months were those of another calendar.
        """
        for era in ERAS:
            if day >= era.begins:
                return cls(era.name, day.year - era.first_year + 1, day.month, day.day)
        raise ValueError("before the Gregorian calendar in Japan")

    def format(self) -> str:
        """``令和8年11月24日``; the first year is 元年."""
        return f"{self.era}{_year(self.year)}年{self.month}月{self.day}日"

    def short(self) -> str:
        """``R8.11.24``."""
        return f"{_era(self.era).letter}{self.year}.{self.month}.{self.day}"

    def to_date(self) -> date:
        """The Gregorian date.

        Raises:
            ValueError: there is no such day in that era.
        """
        era = _era(self.era)
        day = date(era.first_year + self.year - 1, self.month, self.day)
        if Wareki.of(day) != self:
            raise ValueError("no such day in that era")
        return day

    def __str__(self) -> str:
        return self.format()


def parse(text: str) -> date:
    """The date written as ``令和8年11月24日`` or ``R8.11.24``; digits of either width, with or without blanks.

    Raises:
        ValueError: it is written otherwise, or no such day exists in that era.
    """
    plain = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    if match := _LONG.match(plain):
        name, year = match[1], 1 if match[2] == "元" else int(match[2])
    elif match := _SHORT.match(plain):
        name, year = next(era.name for era in ERAS if era.letter == match[1]), int(match[2])
    else:
        raise ValueError("not a Japanese date")
    return Wareki(name, year, int(match[3]), int(match[4])).to_date()


def fiscal_year(day: date) -> int:
    """年度: the year in which the April on or before ``day`` lies (会計年度, 地方自治法 第208条)."""
    return day.year if day.month >= 4 else day.year - 1


def fiscal_year_start(year: int) -> date:
    """1 April of a 年度."""
    return date(year, 4, 1)


def fiscal_year_end(year: int) -> date:
    """31 March, the last day of a 年度."""
    return date(year + 1, 4, 1) - timedelta(days=1)


def fiscal_year_label(year: int) -> str:
    """``令和8`` for the 年度 2026, to be followed by 年度: the era of 1 April, but 令和元 for 2019 as offices write."""
    if year == 2019:
        return "令和元"
    began = Wareki.of(fiscal_year_start(year))
    return f"{began.era}{_year(began.year)}"


def _year(year: int) -> str:
    return "元" if year == 1 else str(year)


def _era(name: str) -> Era:
    for era in ERAS:
        if era.name == name:
            return era
    raise ValueError("no such era")
