"""The items of a standard record (データ項目), read from ``items.yaml`` beside an adapter.

The 基本データリスト of each business is not public. Every item says whose it is: ``official`` (published), ``observed``
(seen in public material) or ``ours``; a file replaces them once the town has the list.
"""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from town_kit.jp import characters, kana
from town_kit.profiles import Source

Kind = Literal["X", "N", "XN", "9", "DATE"]
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


class Item(BaseModel):
    """One データ項目.

    Attributes:
        id: データ項目ID, 業務ID (3) and 項目番号 (5); empty where no published list names one.
        name: 項目名.
        field: name in Hepburn romaji, as the API spells it.
        kind: X half width, N full width, XN either, 9 integer, DATE ``YYYY-MM-DD``.
        digits: 桁数, counted in characters.
        required: whether a record without it is refused.
        codes: what the town's form calls it → the code of the standard; a value that is no key is refused.
        half_width_kana: a reading that banks take in 半角カナ.
        degraded: whether the same text in JIS 第1〜第4水準 (縮退) stands beside it.
        derived: filled by the adapter's rules, never by an answer.
        source: official, observed or ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field("", pattern=r"^([0-9]{8})?$")
    name: str
    field: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Kind
    digits: int = Field(ge=1)
    required: bool = False
    codes: dict[str, str] = {}
    half_width_kana: bool = False
    degraded: bool = False
    derived: bool = False
    source: Source


class Group(BaseModel):
    """グループ: items that stand together; one group is one file. The main group has no ``list`` name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    list: str | None = None
    items: tuple[Item, ...]

    @property
    def by_field(self) -> Mapping[str, Item]:
        """The items by field."""
        return {item.field: item for item in self.items}


class Misfit(Exception):
    """A value does not fit its item; ``code`` is stable, ``message`` is for a clerk and holds no value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


def load_groups(path: Path) -> tuple[Group, ...]:
    """The groups of an ``items.yaml``.

    Raises:
        ValueError: the file is not whole, or names one field twice.
    """
    groups = tuple(Group.model_validate(one) for one in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"])
    for group in groups:
        if len(group.by_field) != len(group.items):
            raise ValueError(f"{path.name}: {group.name} names a field twice")
    return groups


def fit(item: Item, value: Any) -> Any:
    """The value as the item holds it: coded, in its width, within its digits.

    Raises:
        Misfit: it does not fit.
    """
    if isinstance(value, bool):
        value = "true" if value else "false"
    if item.codes:
        try:
            value = item.codes[str(value)]
        except KeyError:
            raise Misfit("code", f"{item.name}のコードが決められていません。") from None
    if item.half_width_kana:
        value = kana.half_width(str(value))
    if item.kind == "9":
        return _integer(item, value)
    if not isinstance(value, str):
        raise Misfit("type", f"{item.name}の形が正しくありません。")
    if item.kind == "DATE":
        return _date(item, value)
    if characters.misplaced(value):
        raise Misfit("character", f"{item.name}に使えない文字があります。")
    if (item.kind == "N" and not characters.is_full_width(value)) or (
        item.kind == "X" and not _is_half_width(value, kana_allowed=item.half_width_kana)
    ):
        width = "全角" if item.kind == "N" else "半角"
        raise Misfit("width", f"{item.name}は{width}文字で入力してください。")
    if characters.length(value) > item.digits:
        raise Misfit("digits", f"{item.name}は{item.digits}文字までです。")
    return value


def _is_half_width(value: str, *, kana_allowed: bool) -> bool:
    return all(" " <= c <= "~" or (kana_allowed and "｡" <= c <= "ﾟ") for c in value)


def _integer(item: Item, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int):
        raise Misfit("type", f"{item.name}は数で入力してください。")
    if len(str(abs(value))) > item.digits:
        raise Misfit("digits", f"{item.name}は{item.digits}桁までです。")
    return value


def _date(item: Item, value: str) -> str:
    message = f"{item.name}は実在する日付で入力してください。"
    if not DATE.match(value):
        raise Misfit("date", message)
    try:
        date.fromisoformat(value)
    except ValueError:
        raise Misfit("date", message) from None
    return value
