"""Public numbers with a check digit: 全国地方公共団体コード and 法人番号."""

import re
from dataclasses import dataclass
from typing import Self

_SIX = re.compile(r"[0-9]{6}\Z")
_THIRTEEN = re.compile(r"[0-9]{13}\Z")


@dataclass(frozen=True, slots=True)
class MunicipalityCode:
    """全国地方公共団体コード: prefecture (2), municipality (3), check digit (1); 穴水町 is ``174611``."""

    value: str

    def __post_init__(self) -> None:
        if not _SIX.match(self.value) or self.check_digit(self.value[:5]) != self.value[5]:
            raise ValueError("not a municipality code")

    @staticmethod
    def check_digit(body: str) -> str:
        """The sixth digit: weights 6, 5, 4, 3, 2; S below 11 gives 11-S, else (11 - S mod 11) mod 10 (総務省)."""
        total = sum(int(digit) * weight for digit, weight in zip(body, (6, 5, 4, 3, 2), strict=True))
        return str((11 - total) % 10 if total < 11 else (11 - total % 11) % 10)

    @classmethod
    def of(cls, body: str) -> Self:
        """The code of five digits, its check digit added."""
        return cls(body + cls.check_digit(body))

    @property
    def prefecture(self) -> str:
        """都道府県コード, two digits."""
        return self.value[:2]

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class CorporateNumber:
    """法人番号: a check digit (1 to 9) and twelve digits (法人番号の指定等に関する省令 第2条)."""

    value: str

    def __post_init__(self) -> None:
        if not _THIRTEEN.match(self.value) or self.check_digit(self.value[1:]) != self.value[0]:
            raise ValueError("not a corporate number")

    @staticmethod
    def check_digit(body: str) -> str:
        """The first digit: counted from the right, odd places weigh 1 and even ones 2; 9 - (S mod 9)."""
        total = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(body)))
        return str(9 - total % 9)

    @classmethod
    def of_municipality(cls, code: MunicipalityCode) -> Self:
        """The number of a local government: ``000020`` and its code, with the check digit in front."""
        body = "000020" + code.value
        return cls(cls.check_digit(body) + body)

    def __str__(self) -> str:
        return self.value
