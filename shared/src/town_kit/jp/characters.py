"""Characters of names and addresses (行政事務標準文字, MJ+): kept as they are, degraded and compared beside it.

A name is stored as its UTF-8 text, variation selectors (IVS) and private-use characters included. It is never put
into a normal form: NFKC joins characters that families tell apart, and even NFC replaces 神 (U+FA19) by 神 (U+795E).
What searches, 全銀 files and old systems need is made beside it and never written back.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from town_kit.jp.variants import FOLDED

GETA: Final = "〓"
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_IDEOGRAPHS = (range(0x3400, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x40000))
_PRIVATE_USE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))
_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class Degraded:
    """縮退: a text in JIS 第1〜第4水準, and where it is not the original.

    Attributes:
        text: one character for each character of the original.
        substituted: one flag for each character; true where another character stands for it.
    """

    text: str
    substituted: tuple[bool, ...]

    @property
    def is_exact(self) -> bool:
        """Whether nothing had to be replaced."""
        return not any(self.substituted)


def characters(text: str) -> list[str]:
    """The characters a reader counts: a base with its variation selectors, marks and joined parts is one."""
    found: list[str] = []
    for c in text:
        joined = found and (_extends(c) or found[-1].endswith(_JOINER))
        if joined:
            found[-1] += c
        else:
            found.append(c)
    return found


def length(text: str) -> int:
    """桁数 as the standard counts it: characters, not code points or bytes."""
    return len(characters(text))


def is_full_width(text: str) -> bool:
    """Whether ``text`` may stand in a 全角 (N) item: no half-width character in it."""
    return all(_extends(c) or unicodedata.east_asian_width(c) in "FWA" for c in text)


def is_half_width(text: str) -> bool:
    """Whether ``text`` may stand in a 半角 (X) item: printable ASCII only."""
    return all(" " <= c <= "~" for c in text)


def misplaced(text: str) -> list[int]:
    """Where characters stand that no administrative text has, by index of the character.

    Controls, invisible formatting, lone surrogates, noncharacters, unassigned code points outside the planes of
    ideographs, and a variation selector without an ideograph before it. Ideographs of every plane, private use and IVS
    are welcome.
    """
    return [index for index, one in enumerate(characters(text)) if _is_misplaced(one)]


def without_variations(text: str) -> str:
    """``text`` without its variation selectors."""
    return "".join(c for c in text if not _is_variation_selector(c))


def degrade(text: str) -> Degraded:
    """縮退 of a text to JIS X 0213 (第1〜第4水準): its base, its common form, else 〓; for search and old systems."""
    made = [_degraded(one) for one in characters(text)]
    return Degraded("".join(new for new, _ in made), tuple(flag for _, flag in made))


def comparison_key(text: str) -> str:
    """What two writings of one name share: NFKC, without IVS and blanks, variants folded, small letters.

    Never stored in place of the text, never shown.
    """
    plain = without_variations(text).translate(FOLDED)
    folded = unicodedata.normalize("NFKC", plain).translate(FOLDED)
    return "".join(folded.split()).casefold()


def is_private_use(character: str) -> bool:
    """Whether a character is an 外字: a glyph that only fonts of the standard know."""
    return _within(ord(character[0]), _PRIVATE_USE)


def _degraded(one: str) -> tuple[str, bool]:
    base = without_variations(one)
    for candidate, exact in (
        (base, base == one),
        (unicodedata.normalize("NFC", base), False),
        (unicodedata.normalize("NFKC", base), False),
        (base.translate(FOLDED), False),
    ):
        if len(candidate) == 1 and _in_jis_x_0213(candidate):
            return candidate, not exact
    return GETA, True


def _in_jis_x_0213(character: str) -> bool:
    try:
        character.encode("euc_jis_2004")
    except UnicodeEncodeError:
        return False
    return not is_private_use(character)


def _is_misplaced(one: str) -> bool:
    base, marks = one[0], one[1:]
    if _extends(base) or any(unicodedata.category(c) == "Cf" for c in one):
        return True
    if any(ord(c) >= 0xE0100 and _is_variation_selector(c) for c in marks) and not (
        _within(ord(base), _IDEOGRAPHS) or is_private_use(base)
    ):
        return True
    kind = unicodedata.category(base)
    return kind in {"Cc", "Cs", "Zl", "Zp"} or (kind == "Cn" and not _within(ord(base), _IDEOGRAPHS))


def _extends(c: str) -> bool:
    return _is_variation_selector(c) or c == _JOINER or unicodedata.category(c) in {"Mn", "Me"}


def _is_variation_selector(c: str) -> bool:
    return _within(ord(c), _VARIATION_SELECTORS)


def _within(code: int, ranges: tuple[range, ...]) -> bool:
    return any(code in one for one in ranges)
