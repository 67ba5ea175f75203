"""The form of a procedure (様式): a strict JSON Schema 2020-12 with marks of ours, and what is read off it.

Marks: ``title`` (Japanese label) and ``x-order`` on every item; ``x-enum-labels`` on every choice; ``x-my-number`` on
a 個人番号; ``x-reading`` names the item that holds the フリガナ; ``x-address`` on what 支援措置 hides;
``x-identifier`` on numbers and codes; ``x-message`` says what to do when the pattern does not match.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from town_kit.jp import contains_my_number
from town_kit.problems import FieldError

Schema = Mapping[str, Any]

MY_NUMBER_IN_TEXT = "my-number-in-text"
_NO_FREE_TEXT = ("enum", "const", "format", "x-my-number", "x-identifier")

# JSON Schema keyword → our code and what to do; {label} is the item's name in Japanese.
_SENTENCES = {
    "required": ("missing", "{label}を入力してください。"),
    "minLength": ("missing", "{label}を入力してください。"),
    "additionalProperties": ("unknown-field", "様式にない項目があります。項目の名前を確認してください。"),
    "enum": ("choice", "{label}は選択肢から選んでください。"),
    "const": ("choice", "{label}を確認してください。"),
    "type": ("type", "{label}の入力のしかたが正しくありません。入力し直してください。"),
    "pattern": ("format", "{label}の書き方を確認してください。"),
    "format": ("format", "{label}の日付を確認してください。"),
    "maxLength": ("too-long", "{label}が長すぎます。短くしてください。"),
    "maxItems": ("too-many", "{label}の件数が多すぎます。減らしてください。"),
    "minItems": ("too-few", "{label}を1件以上入力してください。"),
    "minimum": ("range", "{label}の値を確認してください。"),
    "maximum": ("range", "{label}の値を確認してください。"),
}
_OTHER = ("invalid", "{label}を確認してください。")


class Form:
    """A form, compiled; the schema is free of ``$ref``, so that whoever reads marks needs no resolver."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema: dict[str, Any] = _inlined(schema, schema.get("$defs", {}))
        self._validator = jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)

    def errors(self, answers: Any) -> list[FieldError]:
        """What does not follow the form, one error per place; pointers are relative to the answers."""
        if self._validator.is_valid(answers):
            return []
        found: dict[str, FieldError] = {}
        for error in self._validator.iter_errors(answers):
            one = self._error(list(error.instance_path), error.kind)
            found.setdefault(one.pointer, one)
        return list(found.values())

    def _error(self, path: list[str | int], kind: Any) -> FieldError:
        if kind.name == "required":
            path = [*path, kind.property]
        code, sentence = _SENTENCES.get(kind.name, _OTHER)
        item = self._item(path)
        if kind.name == "pattern":
            sentence = item.get("x-message", sentence)
        pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
        return FieldError(pointer, code, sentence.replace("{label}", f"「{item.get('title', '回答')}」"))

    def _item(self, path: list[str | int]) -> Schema:
        """The item at a place; an element of a list is called like its list."""
        schema: Schema = self.schema
        for part in path:
            inner = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
            schema = inner if "title" in inner else {**inner, "title": schema.get("title", "回答")}
        return schema

    def has(self, pointer: str) -> bool:
        """Whether the form has an item at a pointer (``*`` stands for every element of a list)."""
        found: Schema | None = self.schema
        for part in pointer.split("/")[1:]:
            if found is None:
                return False
            found = found.get("items") if part == "*" else found.get("properties", {}).get(part)
        return found is not None


def my_number_pointers(schema: Schema, answers: Any) -> list[str]:
    """Where answers may hold a 個人番号, lists expanded; pointers are relative to the answers."""
    return [pointer for pointer, item, _ in walk(schema, answers) if item.get("x-my-number")]


def numbers_in_text(schema: Schema, answers: Any) -> list[str]:
    """Where free text holds what looks like a 個人番号 (番号法 第20条: not to be collected there)."""
    return [
        pointer
        for pointer, item, value in walk(schema, answers)
        if isinstance(value, str) and not any(mark in item for mark in _NO_FREE_TEXT) and contains_my_number(value)
    ]


def walk(schema: Schema, value: Any, at: str = "") -> Iterator[tuple[str, Schema, Any]]:
    """Every place of an answer the form knows: pointer, item, value."""
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        for name in (name for name in known if name in value):
            yield f"{at}/{name}", known[name], value[name]
            yield from walk(known[name], value[name], f"{at}/{name}")
    elif isinstance(value, list):
        items = schema.get("items", {})
        for index, inner in enumerate(value):
            yield f"{at}/{index}", items, inner
            yield from walk(items, inner, f"{at}/{index}")


def items(schema: Schema, at: str = "") -> Iterator[tuple[str, Schema]]:
    """Every item of a form, with ``*`` for the elements of a list."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{at}/{name}", inner
        yield from items(inner, f"{at}/{name}")
    if "items" in schema:
        yield from items(schema["items"], f"{at}/*")


def flaws(schema: Schema) -> Iterator[str]:
    """What makes a form unfit: an object that takes anything; an item without label or order; an unnamed choice."""
    yield from _object_flaws(schema, "")
    for pointer, item in items(schema):
        yield from (f"{pointer}: {mark} is missing" for mark in ("title", "x-order") if mark not in item)
        labels = item.get("x-enum-labels", {})
        yield from (f"{pointer}: no label for a choice" for value in item.get("enum", ()) if str(value) not in labels)
        yield from _object_flaws(item, pointer)
        yield from _object_flaws(item.get("items", {}), f"{pointer}/*")


def _object_flaws(item: Schema, pointer: str) -> Iterator[str]:
    properties: Schema = item.get("properties", {})
    if properties and item.get("additionalProperties") is not False:
        yield f"{pointer}: additionalProperties must be false"
    for name, inner in properties.items():
        if "x-reading" in inner and inner["x-reading"] not in properties:
            yield f"{pointer}/{name}: x-reading names no item beside it"


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema in which every ``$ref`` to its own ``$defs`` is replaced; what stands beside the reference wins."""
    if isinstance(schema, list):
        return [_inlined(inner, definitions) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    base: dict[str, Any] = {}
    if "$ref" in schema:
        base = _inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return base | {
        name: _inlined(inner, definitions) for name, inner in schema.items() if name not in ("$ref", "$defs")
    }
