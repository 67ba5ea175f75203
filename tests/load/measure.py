"""What a benchmark reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: its name, value and unit, the reference of the same run, and value divided by reference."""

    name: str
    value: float
    unit: str
    reference: float | None
    ratio: float | None
