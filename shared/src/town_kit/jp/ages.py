"""Ages as the law counts them (年齢計算ニ関スル法律, 民法 第143条): reached when the day before the birthday ends.

That day itself counts as the day of reaching: who is born on 1 April reaches an age on 31 March, and so belongs to the
school year before.
"""

from datetime import date, timedelta

from town_kit.jp.wareki import fiscal_year, fiscal_year_end


def attained_on(birth: date, years: int) -> date:
    """The day on which ``years`` of age are reached; for 29 February always 28 February (民法 第143条第2項)."""
    try:
        anniversary = birth.replace(year=birth.year + years)
    except ValueError:
        anniversary = date(birth.year + years, 3, 1)
    return anniversary - timedelta(days=1)


def fiscal_year_end_after(birth: date, years: int) -> date:
    """The first 31 March on or after the day on which ``years`` are reached (…に達する日以後の最初の三月三十一日)."""
    return fiscal_year_end(fiscal_year(attained_on(birth, years)))
