"""Filling a record from answers as the procedure folder maps them: fields, repeated groups, persons."""

from collections.abc import Iterator, Mapping
from typing import Any

from town_kit.jp import characters
from town_standardization.adapters.base import AdapterRefused, HandOver, Wrong
from town_standardization.adapters.items import Group, Item, Misfit, fit

DEGRADED = "_shukutai"


def fill(
    hand_over: HandOver,
    groups: tuple[Group, ...],
    addressees: Mapping[str, str],
    derived: Mapping[str, Any],
    derived_lists: Mapping[str, list[Mapping[str, Any]]],
) -> dict[str, Any]:
    """The record: every item of every group, in the order of the items; what is absent is null.

    Args:
        hand_over: answers and mapping.
        groups: the adapter's items.
        addressees: pointer of a person → 宛名番号.
        derived: what the adapter's rules say for the main group.
        derived_lists: the same for each element of a list.

    Raises:
        AdapterRefused: with everything that is wrong at once.
    """
    main, *lists = groups
    wrong: list[Wrong] = []
    mapping, answers = hand_over.mapping, hand_over.answers
    people: Mapping[str, str] = mapping.get("persons", {})
    given = {name: value_of(answers, place) for name, place in mapping.get("fields", {}).items()}
    given |= {name: addressees.get(place) for name, place in people.items() if "*" not in place}
    record = _filled(main, {**given, **derived}, "", wrong)
    for group in lists:
        name = group.list or ""
        rule = mapping.get("lists", {}).get(name, {"each": "", "fields": {}})
        rows = []
        for index, (place, element) in enumerate(elements(answers, rule["each"])):
            values = {field: value_of(element, "/" + inner) for field, inner in rule["fields"].items()}
            if name in people:
                values["atenabango"] = addressees.get(place)
            extra = derived_lists.get(name, [])
            values |= extra[index] if index < len(extra) else {}
            rows.append(_filled(group, values, f"{name}/{index}/", wrong))
        record[name] = rows
    unknown = (set(mapping.get("fields", {})) | {n for n, p in people.items() if "*" not in p}) - set(main.by_field)
    wrong += [
        Wrong(name, "unknown-field", "この項目は標準レコードにありません。手続きの対応表を直してください。")
        for name in sorted(unknown)
    ]
    if wrong:
        raise AdapterRefused(wrong)
    return record


def persons(hand_over: HandOver) -> list[str]:
    """Where the answers describe persons who need a 宛名番号; lists expanded, absent ones left out."""
    found = []
    for place in hand_over.mapping.get("persons", {}).values():
        if place.endswith("/*"):
            found += [pointer for pointer, _ in elements(hand_over.answers, place.removesuffix("/*"))]
        elif isinstance(value_of(hand_over.answers, place), Mapping):
            found.append(place)
    return found


def value_of(document: Any, place: Any) -> Any:
    """What stands at a JSON Pointer; ``{"const": …}`` stands for itself; null when nothing is there."""
    if isinstance(place, Mapping):
        return place.get("const")
    for part in str(place).split("/")[1:]:
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def elements(document: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Pointer and value of each element of the list at ``place``."""
    found = value_of(document, place) if place else None
    for index, element in enumerate(found if isinstance(found, list) else ()):
        yield f"{place}/{index}", element


def _filled(group: Group, given: Mapping[str, Any], at: str, wrong: list[Wrong]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for item in group.items:
        value = given.get(item.field)
        row[item.field] = None if value is None or value == "" else _fitted(item, value, at, wrong)
        if row[item.field] is None and item.required and (value is None or value == ""):
            wrong.append(Wrong(at + item.field, "missing", f"{item.name}がありません。"))
        if item.degraded:
            degraded = characters.degrade(row[item.field] or "")
            row[item.field + DEGRADED] = degraded.text if row[item.field] else None
            row[item.field + DEGRADED + "_umu"] = "0" if degraded.is_exact else "1"
    return row


def _fitted(item: Item, value: Any, at: str, wrong: list[Wrong]) -> Any:
    try:
        return fit(item, value)
    except Misfit as misfit:
        wrong.append(Wrong(at + item.field, misfit.code, misfit.message))
        return None
