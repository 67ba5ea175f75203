"""Checking a request of 住登外者宛名番号付番 by its specification: E0001 to E0004, every error at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from town_kit.jp import MyNumber, characters
from town_standardization.addressees.numbering_items import (
    BY_NAME,
    CHOICES,
    DEFAULTS,
    DIGITS_ONLY,
    ITEMS,
    RequestItem,
)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?\Z")


@dataclass(frozen=True, slots=True)
class NumberingError:
    """エラー: a code of the specification and its sentence; never the value."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NumberingRequest:
    """A request that is right: its values by parameter name, without the 個人番号, and that number apart."""

    values: Mapping[str, str]
    number: MyNumber | None

    @property
    def kind(self) -> str:
        """処理区分: 0 付番依頼, 1 既存番号利用, 2 候補から選択."""
        return self.values["shorikubun"]

    def attributes(self) -> dict[str, Any]:
        """What it says of the person, in the words of the 宛名, and every item as it came."""
        value = self.values.get
        name = value("shimei") or "　".join(filter(None, (value("uji_nihonjin"), value("na_nihonjin"))))
        address = "".join(
            value(part) or ""
            for part in (
                "jusho_todofuken",
                "jusho_shikugunchosonmei",
                "jusho_choaza",
                "jusho_banchigohyoki",
                "jusho_katagaki",
                "jusho_kokugaijusho",
            )
        )
        known_birth = value("seinengappi") if value("seinengappi_fushofuragu") != "1" else None
        four = {"name": name, "birth_date": known_birth, "sex": value("seibetsu"), "address": address}
        facts = {"name_kana": value("shimei_furigana"), "postal_code": value("jusho_yubinbango")}
        return {**{k: v for k, v in (four | facts).items() if v}, "items": dict(self.values)}


def check(body: Any) -> NumberingRequest | list[NumberingError]:
    """The request in a parsed JSON body, or everything that is wrong with it."""
    if not isinstance(body, Mapping):
        return [NumberingError("E0001", "処理区分が設定されていません。")]
    given = {name: body[name] for name in BY_NAME if body.get(name) not in (None, "")}
    errors = [error for item in ITEMS for error in _item_errors(item, given.get(item.name))]
    if not errors:
        errors = list(_correlation_errors(given))
    if errors:
        return errors
    number = MyNumber.parse(given.pop("kojinbango")) if "kojinbango" in given else None
    return NumberingRequest({**DEFAULTS, **given}, number)


def _item_errors(item: RequestItem, value: Any) -> Iterator[NumberingError]:
    if value is None:
        if item.always:
            yield NumberingError("E0001", f"{item.label}が設定されていません。")
        return
    wanted = _wrong_characters(item, value)
    if wanted is not None:
        yield NumberingError("E0002", f"{item.label}は{wanted}で設定してください。")
        return
    length = characters.length(value)
    if item.fixed and length != item.digits:
        yield NumberingError("E0003", f"{item.label}は{item.digits}桁で設定してください。")
    elif length > item.digits:
        yield NumberingError("E0003", f"{item.label}は{item.digits}桁以内で設定してください。")
    elif item.name == "kojinbango" and not _is_my_number(value):
        yield NumberingError("E0002", f"{item.label}は検査用数字の正しい番号で設定してください。")


def _wrong_characters(item: RequestItem, value: Any) -> str | None:
    """What is wanted, where the value is something else."""
    if not isinstance(value, str):
        return "文字列"
    match item.kind:
        case "N" if not characters.is_full_width(value) or characters.misplaced(value):
            return "全角文字"
        case "X" if not characters.is_half_width(value):
            return "半角文字"
        case "DATE" if not _is_date(value, unknown_allowed=item.name == "seinengappi"):
            return "YYYY-MM-DDの形式"
        case "TIME" if not _is_time(value):
            return "HH:MM:SSの形式"
    if item.name in DIGITS_ONLY and not value.isdigit():
        return "半角数字"
    if item.name in CHOICES and len(value) == 1 and value not in CHOICES[item.name]:
        return "コード値"
    return None


def _correlation_errors(given: Mapping[str, Any]) -> Iterator[NumberingError]:
    pairs = (
        ("shorikubun", given["shorikubun"] in "12", "atenabango"),
        ("seinengappi_fushofuragu", given.get("seinengappi_fushofuragu") == "1", "seinengappi_fushohyoki"),
        ("nayosemotofuragu", given["nayosemotofuragu"] == "1", "nayosesakiatenabango"),
    )
    for first, holds, second in pairs:
        if holds and second not in given:
            message = f"{BY_NAME[first].label}が設定されている場合、{BY_NAME[second].label}は設定必須です。"
            yield NumberingError("E0004", message)


def _is_my_number(value: str) -> bool:
    try:
        MyNumber.parse(value)
    except ValueError:
        return False
    return True


def _is_date(value: str, *, unknown_allowed: bool) -> bool:
    """A real day; a birth date may be partly unknown (不詳日), as 0000-01-01 or with zeros."""
    if not _DATE.match(value):
        return False
    if unknown_allowed and ("0000" in value[:4] or "00" in (value[5:7], value[8:])):
        return True
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_time(value: str) -> bool:
    if not _TIME.match(value):
        return False
    try:
        time.fromisoformat(value)
    except ValueError:
        return False
    return True
