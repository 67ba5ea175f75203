"""What a benchmark reports."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: its name, value and unit, the reference of the same run, and value divided by reference."""

    name: str
    value: float
    unit: str
    reference: float | None
    ratio: float | None


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of at least two values lies."""
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
