"""Rules of numbering and of telling people apart; no framework."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from town_kit.jp import characters

FOUR = ("name", "birth_date", "sex", "address")


@dataclass(frozen=True, slots=True)
class NumberPolicy:
    """How 宛名番号 and 団体内統合宛名番号 look. Both are opaque: their check digits are not public.

    Attributes:
        addressee_first: first number given here; the range must not meet that of 住民宛名番号.
        integrated_first: first 団体内統合宛名番号.
        width: digits.
        zero_padded: whether shorter numbers are filled with zeros in front.
    """

    addressee_first: int
    integrated_first: int
    width: int
    zero_padded: bool

    def addressee_number(self, serial: int) -> str:
        """The ``serial``-th 宛名番号, from 1."""
        return self._written(self.addressee_first + serial - 1)

    def integrated_number(self, serial: int) -> str:
        """The ``serial``-th 団体内統合宛名番号, from 1."""
        return self._written(self.integrated_first + serial - 1)

    def read(self, number: str) -> str:
        """A 宛名番号 of another system, written as here."""
        return number.zfill(self.width) if self.zero_padded else number

    def _written(self, value: int) -> str:
        text = f"{value:0{self.width}d}" if self.zero_padded else str(value)
        if len(text) > self.width:
            raise OverflowError("the range of numbers is used up")
        return text


def four_key(attributes: Mapping[str, Any]) -> str | None:
    """What two descriptions of one person by 基本4情報 share; null unless all four are there."""
    if not all(attributes.get(name) for name in FOUR):
        return None
    name, address = str(attributes["name"]), str(attributes["address"])
    return "|".join(
        (
            characters.comparison_key(name),
            str(attributes["birth_date"]),
            str(attributes["sex"]),
            characters.comparison_key(address),
        )
    )
