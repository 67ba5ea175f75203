"""What the inbox decides about an event, by its sequence alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from town_kit.messaging.event import Envelope
from town_kit.messaging.inbox import Cursor, Step, jsoned, unjson
from town_kit.messaging.pglog import pack_headers, partition_of, unpack_headers

KEY = UUID(int=1)
EVENT = Envelope(KEY, "t", KEY, 5, datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("done", "blocked", "snapshot", "step"),
    [
        (4, False, False, Step.RUN),
        (5, False, False, Step.DONE),
        (9, False, False, Step.DONE),
        (3, False, False, Step.PARK),
        (0, False, False, Step.PARK),
        (0, False, True, Step.RUN),
        (3, False, True, Step.RUN),
        (7, False, True, Step.DONE),
        (4, True, False, Step.PARK),
        (4, True, True, Step.PARK),
        (5, True, False, Step.DONE),
    ],
)
def test_the_next_one_runs_a_later_one_waits_an_earlier_one_is_done(
    done: int, blocked: bool, snapshot: bool, step: Step
) -> None:
    assert Cursor(done, blocked=blocked).judge(replace(EVENT, snapshot=snapshot)) is step


def test_headers_survive_the_log_and_the_parking() -> None:
    raw = (("a", bytes(range(256))), ("a", b""), ("日本", "語".encode()))
    assert unpack_headers(pack_headers(raw)) == raw
    assert unjson(json.loads(jsoned(raw[1:]))) == raw[1:]
    assert "\\u0000" not in jsoned((("a", b"\x00"),))


def test_a_key_always_has_the_same_partition() -> None:
    assert partition_of(b"4f9d2e64-0000-7000-8000-000000000001", 4) == 3
    assert {partition_of(str(n).encode(), 4) for n in range(100)} == {0, 1, 2, 3}
    assert partition_of(None, 4) == 0
