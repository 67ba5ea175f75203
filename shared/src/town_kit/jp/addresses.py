"""住所 in the parts that the government's data model (GIF) and the standard core systems use."""

import re
from dataclasses import dataclass
from typing import Self

import jaconv

from town_kit.jp import characters
from town_kit.jp.characters import length

_PREFECTURE = re.compile(r"(東京都|北海道|(?:京都|大阪)府|[^\s]{2,3}?県)")
_CITY = re.compile(
    r"((?:[^\s郡0-9０-９]{1,6}郡)[^\s0-9０-９]{1,6}?[町村]"  # 鳳珠郡穴水町: the 郡 belongs to the name
    r"|(?:四日市|廿日市|野々市|余市郡余市|八日市場)市"
    r"|[^\s0-9０-９]{1,8}?市(?:[^\s0-9０-９市町村]{1,5}区)?"
    r"|[^\s0-9０-９]{1,5}区)"
)
_NUMBER = r"(?:[0-9０-９]+|[〇一二三四五六七八九十百]+(?=丁目|番地|番))"
_UNIT = r"(?:丁目|番地の?|番|号|の|ノ|之|[-－‐−ー])?"
_BLOCK = re.compile(rf"{_NUMBER}{_UNIT}(?:(?:[0-9０-９]+|[〇一二三四五六七八九十百]+(?=丁目|番|号)){_UNIT})*")
# 桁数 of 住所 in the common data items: characters, not bytes (住登外者宛名番号管理 API 仕様).
LIMITS = {"prefecture": 4, "city": 12, "area": 120, "block": 50, "building": 300}

_DIGITS = {c: n for n, c in enumerate("〇一二三四五六七八九")}
_KANJI_NUMBER = re.compile(r"[〇一二三四五六七八九十百]+(?=丁目|番地|番|号)")
_BETWEEN_NUMBERS = re.compile(r"(?<=[0-9])(?:丁目|番地ノ?|番|号|ノ|之|[-\u2010-\u2015\u2212ー])+")


def comparison_key(text: str) -> str:
    """What two writings of one address in one line share.

    Width, blanks, variants of characters and of kana do not count, nor does 大字・字, nor how a block number is
    written: 一丁目２番地の３, 1丁目2番3号 and 1-2-3 are one. Never stored in place of the text, never shown.
    """
    folded = str(jaconv.enlarge_smallkana(jaconv.hira2kata(characters.comparison_key(text))))
    numbered = _KANJI_NUMBER.sub(lambda found: str(_number(found[0])), folded.replace("大字", "").replace("字", ""))
    joined = _BETWEEN_NUMBERS.sub("-", numbered)
    return re.sub(r"-(?![0-9])", "", joined)


def _number(kanji: str) -> int:
    """The value of 十二 or of 一二; up to 999."""
    total = digits = 0
    for c in kanji:
        if (unit := {"十": 10, "百": 100}.get(c)) is not None:
            total, digits = total + max(digits, 1) * unit, 0
        else:
            digits = digits * 10 + _DIGITS[c]
    return total + digits


@dataclass(frozen=True, slots=True)
class Address:
    """An address in Japan.

    Attributes:
        prefecture: 都道府県.
        city: 市区郡町村名, for a town from its 郡 on (鳳珠郡穴水町).
        area: 町字.
        block: 番地号表記, as written.
        building: 方書.
        postal_code: 郵便番号, seven digits, or empty.

    Raises:
        ValueError: a part is longer than the standard's digits, or the postal code has another form.
    """

    prefecture: str
    city: str
    area: str = ""
    block: str = ""
    building: str = ""
    postal_code: str = ""

    def __post_init__(self) -> None:
        for part, limit in LIMITS.items():
            if length(getattr(self, part)) > limit:
                raise ValueError(f"{part} is longer than {limit} characters")
        if self.postal_code and not re.fullmatch(r"[0-9]{7}", self.postal_code):
            raise ValueError("a postal code has seven digits")

    @classmethod
    def split(cls, text: str, *, postal_code: str = "") -> Self:
        """The parts of an address written in one line.

        Prefecture and municipality follow their endings; 町字 goes up to the first number, 番地号 up to its last, and
        the rest is 方書. Parts that the text does not tell stay empty; nothing of the text is lost or changed.

        Raises:
            ValueError: as the class.
        """
        rest = text.strip()
        prefecture, rest = _take(_PREFECTURE, rest)
        city, rest = _take(_CITY, rest)
        number = _BLOCK.search(rest)
        if number is None:
            return cls(prefecture, city, rest, postal_code=postal_code)
        area, block, building = rest[: number.start()], number[0], rest[number.end() :]
        return cls(prefecture, city, area, block, building.strip(), postal_code)

    def one_line(self) -> str:
        """The address in one line; 方書 after a full-width space."""
        return self.prefecture + self.city + self.area + self.block + ("　" + self.building if self.building else "")


def _take(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    match = pattern.match(text)
    return (match[1], text[match.end() :]) if match else ("", text)
