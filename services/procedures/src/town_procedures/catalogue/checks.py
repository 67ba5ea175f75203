"""The one library of checks: pure functions a procedure folder names, with parameters, in ``procedure.yaml``.

Each takes the answers, the day on which they are judged, and its parameters, and returns what is wrong. Pointers are
relative to the answers; ``*`` stands for every element of a list. A check says nothing about what is not answered: that
is the form's business, or that of ``required_if``.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from town_kit.jp import attained_on, fiscal_year_end_after
from town_kit.problems import FieldError
from town_procedures.catalogue.pointers import Condition, as_date, find, is_given, value_at

Answers = Mapping[str, Any]


F = TypeVar("F", bound=Callable[..., list[FieldError]])
CHECKS: dict[str, Callable[..., list[FieldError]]] = {}


def check(function: F) -> F:
    """Put a function into the library under its own name."""
    CHECKS[function.__name__] = function
    return function


@check
def date_not_future(answers: Answers, /, *, on: date, pointers: Sequence[str]) -> list[FieldError]:
    """A birth, an event or a filing has not yet to come."""
    return [
        FieldError(place, "future-date", "未来の日付です。日付を確認してください。")
        for pointer in pointers
        for place, value in find(answers, pointer)
        if (day := as_date(value)) and day > on
    ]


@check
def dates_in_order(answers: Answers, /, *, on: date, first: str, second: str) -> list[FieldError]:
    """In each place, the second date is not before the first; the two stand beside each other."""
    del on
    errors = []
    for place, value in find(answers, second):
        before = as_date(value_at(answers, place.rsplit("/", 1)[0] + "/" + first.rsplit("/", 1)[1]))
        after = as_date(value)
        if before and after and after < before:
            errors.append(FieldError(place, "date-order", "終わりの日が始まりの日より前です。日付を確認してください。"))
    return errors


@check
def within_days(answers: Answers, /, *, on: date, pointer: str, before: int, after: int) -> list[FieldError]:
    """A date lies at most so many days before or after the day of the application."""
    earliest, latest = on - timedelta(days=before), on + timedelta(days=after)
    return [
        FieldError(place, "date-range", "この手続きができる期間から外れています。日付を確認してください。")
        for place, value in find(answers, pointer)
        if (day := as_date(value)) and not earliest <= day <= latest
    ]


@check
def term_within_days(
    answers: Answers,
    /,
    *,
    on: date,
    pointer: str,
    before: int,
    after: int,
    when: Sequence[Mapping[str, Any]],
    message: str,
) -> list[FieldError]:
    """Where all conditions hold, a date lies at most so many days before or after the day of the application."""
    if not all(Condition.model_validate(one).holds(answers, on) for one in when):
        return []
    found = within_days(answers, on=on, pointer=pointer, before=before, after=after)
    return [FieldError(error.pointer, error.code, message) for error in found]


@check
def not_answered_so(
    answers: Answers, /, *, on: date, pointer: str, values: Sequence[Any], message: str
) -> list[FieldError]:
    """An answer that sends the applicant elsewhere; the message says where."""
    del on
    return [FieldError(place, "not-here", message) for place, value in find(answers, pointer) if value in values]


@check
def required_if(
    answers: Answers, /, *, on: date, when: Sequence[Mapping[str, Any]], pointers: Sequence[str]
) -> list[FieldError]:
    """Where all conditions hold, these items must be answered."""
    if not all(Condition.model_validate(one).holds(answers, on) for one in when):
        return []
    return [
        FieldError(pointer, "missing", "ほかの回答から、この欄の入力が必要です。入力してください。")
        for pointer in pointers
        if not is_given(value_at(answers, pointer))
    ]


@check
def forbidden_if(
    answers: Answers, /, *, on: date, when: Sequence[Mapping[str, Any]], pointers: Sequence[str]
) -> list[FieldError]:
    """Where all conditions hold, these items must stay empty."""
    if not all(Condition.model_validate(one).holds(answers, on) for one in when):
        return []
    return [
        FieldError(pointer, "not-wanted", "ほかの回答から、この欄は入力できません。空にしてください。")
        for pointer in pointers
        if is_given(value_at(answers, pointer))
    ]


@check
def each_requires(answers: Answers, /, *, on: date, each: str, item: str, value: Any, needs: str) -> list[FieldError]:
    """In each element where ``item`` has the value, ``needs`` must be answered."""
    del on
    return [
        FieldError(f"{place}/{needs}", "missing", "ほかの回答から、この欄の入力が必要です。入力してください。")
        for place, element in find(answers, each)
        if isinstance(element, Mapping) and element.get(item) == value and not is_given(element.get(needs))
    ]


@check
def child_ages_within(
    answers: Answers,
    /,
    *,
    on: date,
    pointer: str,
    until_fiscal_year_of: int,
    after_fiscal_year_of: int | None = None,
) -> list[FieldError]:
    """Each birth date belongs to a child up to the end of the 年度 in which that age is reached (児童手当法 第3条).

    ``after_fiscal_year_of``: and no longer to one of the younger group.
    """
    errors = []
    for place, value in find(answers, pointer):
        birth = as_date(value)
        if birth is None or birth > on:
            continue
        too_old = on > fiscal_year_end_after(birth, until_fiscal_year_of)
        too_young = after_fiscal_year_of is not None and on <= fiscal_year_end_after(birth, after_fiscal_year_of)
        if too_old or too_young:
            errors.append(
                FieldError(place, "age", "この欄の対象となる年齢ではありません。生年月日を確認してください。")
            )
    return errors


@check
def age_within(
    answers: Answers,
    /,
    *,
    on: date,
    pointer: str,
    at_least: int = 0,
    below: int = 200,
    when: Sequence[Mapping[str, Any]] = (),
    message: str = "対象となる年齢ではありません。生年月日を確認してください。",
) -> list[FieldError]:
    """A person has reached one age and not yet another on the day (年齢計算ニ関スル法律)."""
    if not all(Condition.model_validate(one).holds(answers, on) for one in when):
        return []
    return [
        FieldError(place, "age", message)
        for place, value in find(answers, pointer)
        if (birth := as_date(value)) and not attained_on(birth, at_least) <= on < attained_on(birth, below)
    ]


@check
def bank_account_kana_matches(answers: Answers, /, *, on: date, holder: str, person: str) -> list[FieldError]:
    """The account belongs to the person: both readings are the same as a bank writes them."""
    del on
    name = value_at(answers, person)
    return [
        FieldError(place, "account-holder", "口座名義は請求者ご本人の名義にしてください。")
        for place, value in find(answers, holder)
        if is_given(value) and is_given(name) and bank_kana(value) != bank_kana(name)
    ]


@check
def insured_number_digits(answers: Answers, /, *, on: date, pointers: Sequence[str], digits: int) -> list[FieldError]:
    """A number of the insured has so many digits and is not just zeros; its check digit is not public."""
    del on
    return [
        FieldError(place, "digits", f"{digits}桁の数字で入力してください。")
        for pointer in pointers
        for place, value in find(answers, pointer)
        if is_given(value)
        and not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == digits and int(value))
    ]


@check
def people_differ(answers: Answers, /, *, on: date, pointers: Sequence[str]) -> list[FieldError]:
    """No person is entered twice: name and birth date together."""
    del on
    return _repeated(answers, pointers, _name_and_birth)


@check
def my_numbers_differ(answers: Answers, /, *, on: date, pointers: Sequence[str]) -> list[FieldError]:
    """No 個人番号 stands under two people."""
    del on
    errors = _repeated(answers, pointers, lambda who: who.get("my_number") or None)
    return [
        FieldError(
            f"{e.pointer}/my_number", "repeated", "別の人に同じ個人番号が入力されています。番号を確認してください。"
        )
        for e in errors
    ]


def _name_and_birth(who: Mapping[str, Any]) -> tuple[str, Any] | None:
    return (bank_kana(who["name_kana"]), who.get("birth_date")) if is_given(who.get("name_kana")) else None


def _repeated(answers: Answers, pointers: Sequence[str], key: Callable[[Mapping[str, Any]], Any]) -> list[FieldError]:
    seen, errors = set(), []
    for place, who in (found for pointer in pointers for found in find(answers, pointer)):
        mark = key(who) if isinstance(who, Mapping) else None
        if mark is not None and mark in seen:
            errors.append(FieldError(place, "repeated", "同じ人が二度入力されています。一方を消してください。"))
        seen.add(mark)
    return errors


_AS_BANKS_WRITE = str.maketrans("ァィゥェォッャュョヮヵヶー‐−", "アイウエオツヤユヨワカケ---")


def bank_kana(text: str) -> str:
    """A reading as banks compare it (全銀協の文字): large kana only, long vowel as a hyphen, without blanks."""
    composed = unicodedata.normalize("NFKC", text)
    hiragana = range(0x3041, 0x3097)
    katakana = "".join(chr(ord(c) + 0x60) if ord(c) in hiragana else c for c in composed)
    return "".join(katakana.translate(_AS_BANKS_WRITE).split()).upper()
