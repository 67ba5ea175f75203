"""What is wrong is told by our names alone: one the caller made up could be a My Number."""

from enum import StrEnum

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError

from town_kit.validation import field_errors

NUMBER = "123456789018"


class Language(StrEnum):
    JA = "ja"


class Text(BaseModel):
    model_config = ConfigDict(extra="forbid")

    body: str


class Letter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    texts: dict[Language, Text]


def told(document: object) -> list[tuple[str, str]]:
    try:
        Letter.model_validate(document)
    except ValidationError as error:
        found = [{**e, "loc": ("body", *e["loc"])} for e in error.errors()]
        return [(e.pointer, e.code) for e in field_errors(RequestValidationError(found))]
    return []


def test_a_name_of_ours_is_told() -> None:
    assert told({"texts": {"ja": {}}}) == [("/texts/ja/body", "missing")]
    assert told({"texts": 1}) == [("/texts", "dict_type")]


def test_an_unknown_member_is_told_by_its_place_alone() -> None:
    assert told({"texts": {}, NUMBER: 1}) == [("", "extra_forbidden")]
    assert told({"texts": {"ja": {"body": "x", NUMBER: 1}}}) == [("/texts/ja", "extra_forbidden")]


def test_an_unknown_key_is_not_told_either() -> None:
    assert told({"texts": {NUMBER: {NUMBER: 1}}}) == [
        ("/texts", "enum"), ("/texts", "missing"), ("/texts", "extra_forbidden"),
    ]  # fmt: skip
