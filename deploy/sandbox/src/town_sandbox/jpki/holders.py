"""Invented holders of virtual cards. No person of these names, addresses and dates is meant."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Holder:
    """What a card says about its holder, in the form of the certificate.

    ``sex``: 1 男, 2 女. ``birth``: ``EYYYYMMDD``, E the era (3 昭和, 4 平成, 5 令和, 0 不明), the year Gregorian.
    ``*_substitutes``: one ``0``/``1`` per character, empty for none. ``addressee_number``: 宛名番号 (ours, sample).
    """

    name: str
    sex: str
    birth: str
    address: str
    addressee_number: str = ""
    name_substitutes: str = ""
    address_substitutes: str = ""

    def but(self, **changes: str) -> Self:
        """The same holder with some attributes changed."""
        return replace(self, **changes)

    def attributes(self) -> list[tuple[str, str]]:
        """otherName entries in the order seen on a test card: 1, 4, 3, 5, 2, 6."""
        prefix = "1.2.392.200149.8.5.5."
        return [
            (prefix + "1", self.name),
            (prefix + "4", self.birth),
            (prefix + "3", self.sex),
            (prefix + "5", self.address),
            (prefix + "2", self.name_substitutes or "0" * len(self.name)),
            (prefix + "6", self.address_substitutes or "0" * len(self.address)),
        ]


_ADDRESS = "石川県鳳珠郡穴水町字見本町ロ１番地の２"

# 能登家 (見本): 花子 applies for her children's allowance, and files the care-need application for her mother ふみ.
DEMO_HOLDERS: dict[str, Holder] = {
    "hanako": Holder("能登　花子", "2", "319870514", _ADDRESS, "0000000000101"),
    "taro": Holder("能登　太郎", "1", "319850909", _ADDRESS, "0000000000102"),
    "fumi": Holder("能登　ふみ", "2", "319480302", _ADDRESS, "0000000000103"),
    "sakura": Holder("能登　さくら", "2", "420150820", _ADDRESS, "0000000000104"),
    "kai": Holder("能登　海", "1", "520240611", _ADDRESS, "0000000000105"),
}
