"""個人番号 (My Number): an opaque value that shows itself to nobody who did not ask by name.

Every way Python has of turning an object into text or bytes is closed: ``repr``, ``str``, ``format`` are redacted,
pickling is refused. Only :meth:`MyNumber.reveal` gives the digits, so a search for that word finds every reader.
"""

import hmac
import re
import unicodedata
from typing import Any, Final, NoReturn, Self

REDACTED: Final = "[個人番号]"
_WEIGHTS = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_DASHES = "-‐‑‒–—―−ー－ｰ"
_SEPARATOR = f"[ 　\t{re.escape(_DASHES)}]?"
_WRITTEN = re.compile(rf"(?<!\d)\d{{4}}{_SEPARATOR}\d{{4}}{_SEPARATOR}\d{{4}}(?!\d)")
_TWELVE = re.compile(rf"\d{{4}}{_SEPARATOR}\d{{4}}{_SEPARATOR}\d{{4}}\Z")


def check_digit(body: str) -> str:
    """The twelfth digit for the eleven digits of ``body`` (番号法施行令等の定める検査用数字, 総務省令第85号 第5条).

    The digits counted from the right, P1 to P11, weigh n+1 for n = 1 to 6 and n-5 for n = 7 to 11; with r the sum
    modulo 11 the check digit is 0 where r is 0 or 1, else 11-r.
    """
    rest = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11
    return "0" if rest <= 1 else str(11 - rest)


class MyNumber:
    """個人番号: twelve digits whose last one checks the others."""

    __slots__ = ("_digits",)
    _digits: str

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refused: a number is made by :meth:`parse`, which checks it."""
        raise TypeError("use MyNumber.parse")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The number written in ``text``: half or full width, in one piece or in groups of four.

        Raises:
            ValueError: these are not twelve digits with a right check digit. The message never holds the text.
        """
        if not isinstance(text, str) or not _TWELVE.match(text):
            raise ValueError("not a my number")
        digits = _digits_of(text)
        if check_digit(digits[:11]) != digits[11]:
            raise ValueError("not a my number")
        made = object.__new__(cls)
        object.__setattr__(made, "_digits", digits)
        return made

    def reveal(self) -> str:
        """The twelve digits in half width. For a 個人番号利用事務 only; the caller writes the audit record."""
        return self._digits

    def masked(self) -> str:
        """``********1234``: as much as a screen may show."""
        return "*" * 8 + self._digits[-4:]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MyNumber) and hmac.compare_digest(self._digits, other._digits)

    def __hash__(self) -> int:
        return hash((MyNumber, self._digits))

    def __repr__(self) -> str:
        return f"MyNumber({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a my number does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a my number does not change")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a my number is not pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a my number is not pickled")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self


def contains_my_number(text: str) -> bool:
    """Whether ``text`` holds twelve digits in a row (or in three groups of four) with the right check digit.

    Full-width digits and those of other scripts count; invisible characters between digits do not hide a number. One
    twelve-digit number in eleven looks like a My Number, so this is for free text, never for ids.
    """
    if sum(c.isdecimal() for c in text) < 12:
        return False
    visible = "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Mn"})
    return any(
        check_digit(digits[:11]) == digits[11] for digits in map(_digits_of, (m[0] for m in _WRITTEN.finditer(visible)))
    )


def mask_my_numbers(text: str) -> str:
    """``text`` with all that is written like a 個人番号 as ``********1234``, whether its check digit is right or not.

    What :func:`contains_my_number` finds is never left; invisible characters are taken out.
    """
    visible = "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Mn"})
    return _WRITTEN.sub(lambda found: "*" * 8 + _digits_of(found[0])[-4:], visible)


def _digits_of(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())
