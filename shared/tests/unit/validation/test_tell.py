"""What is wrong is told by our names alone: one the caller made up could be a My Number."""

from enum import StrEnum

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

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


class Bounded(BaseModel):
    count: int = Field(ge=2, le=100)
    share: float = Field(gt=0, lt=1)
    name: str = Field(min_length=2, max_length=30)
    files: list[int] = Field(min_length=1, max_length=3)


def test_a_bound_is_told_and_what_was_sent_is_not() -> None:
    sentences = []
    for document in (
        {"count": 7001, "share": 77.0, "name": "x" * 31, "files": [7, 7, 7, 7]},
        {"count": -7, "share": -7.0, "name": "x", "files": []},
    ):
        try:
            Bounded.model_validate(document)
        except ValidationError as error:
            sentences += [e.message for e in field_errors(RequestValidationError(error.errors()))]
    told = "".join(sentences)
    assert len(sentences) == 8
    for bound in (
        "100 以下",
        "2 以上",
        "1 より小さい",
        "0 より大きい",
        "30 文字まで",
        "2 文字以上",
        "3 件まで",
        "1 件以上",
    ):
        assert bound in told.replace(".0 ", " "), bound
    assert "7" not in told
