"""What a log line may hold."""

import io
import json
import logging as stdlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog

from town_kit import logging, telemetry

MY_NUMBER = "123456789018"
FULL_WIDTH = "１２３４５６７８９０１８"


@pytest.fixture
def lines() -> Iterator[Any]:
    stream = io.StringIO()
    handlers, level = stdlib.getLogger().handlers[:], stdlib.getLogger().level
    logging.configure("procedures", "debug", zone="LGWAN", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    stdlib.getLogger().handlers[:] = handlers
    stdlib.getLogger().setLevel(level)


def test_a_line_is_json_with_service_zone_and_trace(lines: Any) -> None:
    with telemetry.span("work"):
        trace_id = telemetry.current_trace_id()
        structlog.get_logger().info("application_accepted", application_id=UUID(int=7), count=3)
    (line,) = lines()
    assert line["event"] == "application_accepted"
    assert (line["service"], line["zone"], line["level"], line["trace_id"]) == ("procedures", "LGWAN", "info", trace_id)
    assert line["count"] == 3
    assert line["application_id"] == str(UUID(int=7))
    assert line["at"].endswith("Z")


@pytest.mark.parametrize(
    "name",
    [
        "name", "family_name", "familyName", "name_kana", "address", "home_address", "phone", "phone_number", "email",
        "email-address", "my_number", "myNumber", "birth_date", "birthday", "access_token", "Authorization", "氏名",
        "password", "params", "body",
    ],
)  # fmt: skip
def test_a_member_that_holds_personal_data_by_its_name_is_redacted(lines: Any, name: str) -> None:
    structlog.get_logger().warning("x", **{name: "山田", "inner": {"deep": [{name: "山田"}]}})
    assert "山田" not in json.dumps(lines(), ensure_ascii=False)
    assert lines()[0][name] == "[redacted]"


@pytest.mark.case("D-38")
@pytest.mark.parametrize(
    "number", [MY_NUMBER, FULL_WIDTH, int(MY_NUMBER), f"番号は{MY_NUMBER}です", [MY_NUMBER], {"a": MY_NUMBER}]
)
def test_a_my_number_is_redacted_wherever_it_stands(lines: Any, number: Any) -> None:
    structlog.get_logger().info("seen", value=number)
    structlog.get_logger().info(f"event {MY_NUMBER}")
    stdlib.getLogger("library").warning("value %s", FULL_WIDTH)
    written = json.dumps(lines(), ensure_ascii=False)
    assert MY_NUMBER not in written
    assert FULL_WIDTH not in written
    assert written.count("[redacted]") == 3


def test_ids_and_plain_numbers_stay(lines: Any) -> None:
    looks_like_one = f"00000000-0000-7000-8000-{MY_NUMBER}"
    structlog.get_logger().info("x", a=looks_like_one, b=UUID(looks_like_one), c="123456789012", d="service_name is x")
    assert lines()[0]["a"] == lines()[0]["b"] == looks_like_one
    assert lines()[0]["c"] == "123456789012"


def test_where_something_was_made_stays_whatever_its_id_looks_like(lines: Any) -> None:
    """The line names an application that a restored backup does not have."""
    location = f"/v1/applications/00000000-0000-7000-8000-{MY_NUMBER}"
    structlog.get_logger().info("created", location=location, inner=f"{location}/attachments")
    structlog.get_logger().info("x", a=f"/v1/{MY_NUMBER}", b=f"{location} {MY_NUMBER}", c=f"{location}{MY_NUMBER}")
    made, other = lines()
    assert made["location"] == location
    assert made["inner"] == f"{location}/attachments"
    assert other["a"] == other["b"] == other["c"] == "[redacted]"


def test_bytes_are_never_written(lines: Any) -> None:
    structlog.get_logger().info("x", raw=b"secret", inner=[bytearray(b"secret")])
    assert lines()[0]["raw"] == "[6 bytes]"
    assert "secret" not in json.dumps(lines())


def test_of_an_exception_type_and_place_are_written_and_no_value(lines: Any) -> None:
    def fail() -> None:
        try:
            raise KeyError("山田太郎")  # noqa: TRY301 - to be logged
        except KeyError as error:
            raise ValueError("住所は穴水町") from error

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("failed")
        stdlib.getLogger("uvicorn.error").exception("failed too")
    ours, foreign = lines()
    for line in (ours, foreign):
        assert [one["type"] for one in line["exception"]] == ["builtins.ValueError", "builtins.KeyError"]
        assert any("test_redact.py" in place and place.endswith(" fail") for place in line["exception"][0]["at"])
    assert "山田" not in json.dumps(lines(), ensure_ascii=False)
    assert "穴水" not in json.dumps(lines(), ensure_ascii=False)


def test_in_development_the_message_is_written_without_a_my_number() -> None:
    stream = io.StringIO()
    handlers = stdlib.getLogger().handlers[:]
    logging.configure("x", production=False, stream=stream)
    try:
        raise ValueError(f"bad {MY_NUMBER}")  # noqa: TRY301 - to be logged
    except ValueError:
        structlog.get_logger().exception("failed")
    finally:
        structlog.reset_defaults()
        stdlib.getLogger().handlers[:] = handlers
    assert json.loads(stream.getvalue())["exception"][0]["message"] == "[redacted]"


def test_lines_below_the_level_are_dropped() -> None:
    stream = io.StringIO()
    handlers = stdlib.getLogger().handlers[:]
    logging.configure("x", "warning", stream=stream)
    structlog.get_logger().info("quiet")
    stdlib.getLogger("httpx").info("quiet too")
    structlog.reset_defaults()
    stdlib.getLogger().handlers[:] = handlers
    assert stream.getvalue() == ""
