"""JSON that two readers could understand in two ways is refused."""

import pytest

from town_kit.idempotency import canonical, strict_json
from town_kit.problems import MalformedRequest, Problem


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": 9007199254740993}',
        b'{"\\ud800": 1, "b": 2}',  # half a character in a name: found by `make fuzz`
        b'{"a": "\\udfff"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"",
    ],
)
def test_ambiguous_json_is_refused_in_words(raw: bytes) -> None:
    with pytest.raises(Problem):
        canonical(strict_json(raw))


def test_the_order_of_members_does_not_matter() -> None:
    assert canonical(strict_json(b'{"b": 1, "a": "\\u3042"}')) == canonical(strict_json('{"a":"あ","b":1.0}'.encode()))


def test_a_nul_is_refused_and_its_name_is_not() -> None:
    for raw in (rb'{"a": "\u0000"}', rb'["x\\\u0000"]', '{"a": "\\u0000"}'.encode("utf-16")):
        with pytest.raises(MalformedRequest):
            strict_json(raw)
    assert strict_json(rb'["\\u0000"]') == ["\\u0000"]
