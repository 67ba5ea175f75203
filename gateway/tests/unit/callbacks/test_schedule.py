"""The tries of Standard Webhooks, to the second; what is sent holds ids and facts."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from town_gateway.callbacks.domain import (
    LEASE,
    PAUSES,
    PAYLOAD_LIMIT,
    TIMEOUT_SECONDS,
    delivery_id,
    pause_before,
    payload,
)


def test_ten_tries_over_75_hours_35_minutes_and_5_seconds() -> None:
    seconds = [round(pause.total_seconds()) for pause in PAUSES]
    assert seconds == [0, 5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))]
    assert sum(PAUSES, timedelta(0)) == timedelta(hours=75, minutes=35, seconds=5)
    assert [pause_before(n) for n in range(12)] == [*PAUSES, None, None]


def test_a_try_is_over_before_anybody_else_may_take_it() -> None:
    assert LEASE.total_seconds() >= 2 * TIMEOUT_SECONDS


def test_an_event_heard_twice_is_one_delivery() -> None:
    callback, other, event = uuid4(), uuid4(), uuid4()
    assert delivery_id(callback, event) == delivery_id(callback, event)
    assert len({delivery_id(callback, event), delivery_id(other, event), delivery_id(callback, uuid4())}) == 3


def test_the_time_is_utc_and_the_payload_small() -> None:
    sent = payload("accepted", datetime(2027, 1, 4, 0, 0, tzinfo=UTC), {"state": "accepted"})
    assert json.loads(sent)["timestamp"] == "2027-01-04T00:00:00Z"
    assert len(sent.encode()) < PAYLOAD_LIMIT
