"""A cursor somebody made up is refused as one, and never reaches the database."""

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from town_kit.pagination import decode, encode
from town_kit.problems import ValidationFailed
from town_kit.schemas import Moment

AT, ID = datetime.fromisoformat("2027-01-04T09:00:00+09:00"), UUID(int=7)
ENDS = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]


def made_up(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def test_what_was_encoded_is_read_back() -> None:
    assert decode(encode([AT, ID, -5, "x"]), datetime, UUID, int, str) == (AT, ID, -5, "x")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (datetime, "2027-01-04T09:00:00"),
        *((datetime, end) for end in ENDS),
        (datetime, 5),
        (UUID, "7"),
        (int, 2**63),
        (int, -(2**63) - 1),
        (int, True),
        (int, 1.5),
        (str, "a\x00b"),
        (str, "\ud800"),
        (str, 7),
        (UUID, 7),
        (UUID, None),
    ],
)
def test_a_value_no_row_can_have_is_refused(kind: type, value: Any) -> None:
    with pytest.raises(ValidationFailed):
        decode(made_up(value), kind)


@pytest.mark.parametrize("moment", [*ENDS, "2027-01-04T09:00:00", "1899-12-31T00:00:00Z", "2200-01-01T00:00:00Z"])
def test_a_moment_has_its_offset_and_a_year_in_which_something_happens(moment: str) -> None:
    assert TypeAdapter(Moment).validate_python("2027-01-04T09:00:00+09:00") == AT
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(moment)
