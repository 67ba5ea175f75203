"""Traces and metrics: what flows, what is recorded, what it costs."""

import time
from typing import Any

import pytest

from town_kit import telemetry
from town_kit.telemetry import RequestTelemetry, current_traceparent, span

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Route:
    path = "/v1/applications/{application_id}"


async def call(app: Any, *, headers: dict[str, str] | None = None, path: str = "/v1/applications/7") -> list[Any]:
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"q=123456789018",
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, None, send)
    return sent


async def answering(scope: Any, receive: Any, send: Any) -> None:
    scope["route"] = Route()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": (current_traceparent() or "").encode()})


def test_outside_a_span_there_is_no_trace() -> None:
    assert current_traceparent() is None
    assert telemetry.current_trace_id() is None


@pytest.mark.parametrize("exported", [False, True])
def test_a_trace_goes_on_from_its_parent_whether_or_not_it_is_exported(exported: bool) -> None:
    def judge() -> None:
        with span("outer", parent=TRACEPARENT):
            outer = current_traceparent()
            assert outer is not None
            assert outer.startswith(TRACEPARENT[:36])
            assert outer != TRACEPARENT
            with span("inner"):
                assert (current_traceparent() or "")[:36] == TRACEPARENT[:36]
                assert current_traceparent() != outer
            assert current_traceparent() == outer
        assert current_traceparent() is None

    if exported:
        with telemetry.recording():
            judge()
    else:
        judge()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "garbage",
        TRACEPARENT[:-1],
        "00-" + "0" * 32 + TRACEPARENT[35:],
        "ff" + TRACEPARENT[2:],
        "00-" + "z" * 32 + TRACEPARENT[35:],
    ],
)
def test_a_malformed_parent_begins_a_new_trace(value: str | None) -> None:
    assert telemetry.parse_traceparent(value) is None
    with span("x", parent=value):
        assert len(current_traceparent() or "") == 55


async def test_a_request_is_one_span_named_by_its_route_without_the_query() -> None:
    with telemetry.recording() as recorded:
        sent = await call(RequestTelemetry(answering, service="procedures"), headers={"traceparent": TRACEPARENT})
    (one,) = recorded.spans
    assert one.name == "GET /v1/applications/{application_id}"
    assert one.attributes is not None
    assert one.attributes["http.response.status_code"] == 200
    assert one.attributes["town.service"] == "procedures"
    assert one.parent is not None
    assert f"{one.parent.span_id:016x}" == TRACEPARENT[36:52]
    assert sent[1]["body"].decode()[:36] == TRACEPARENT[:36]
    assert "123456789018" not in one.to_json()


async def test_a_request_is_counted_by_route_and_class_of_status() -> None:
    with telemetry.recording() as recorded:
        await call(RequestTelemetry(answering, service="procedures"))
        ((labels, count),) = recorded.metric("http_request_duration")
    assert count == 1
    assert labels == {"service": "procedures", "method": "GET", "route": Route.path, "status": "2xx"}


async def test_a_request_that_fails_marks_its_span_and_tells_no_message() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("山田太郎")

    with telemetry.recording() as recorded:
        with pytest.raises(ValueError, match="山田"):
            await call(RequestTelemetry(failing, service="x"))
        with pytest.raises(ValueError, match="山田"), span("job"):
            raise ValueError("山田太郎")
    assert len(recorded.spans) == 2
    assert all(not one.status.is_ok for one in recorded.spans)
    assert all("山田" not in one.to_json() and "\\u5c71" not in one.to_json() for one in recorded.spans)


def test_metrics_are_named_in_one_place() -> None:
    with telemetry.recording() as recorded:
        telemetry.gauge("dead_letters", 2, consumer="a")
        telemetry.gauge("dead_letters", 1, consumer="a")
        telemetry.count("deliveries", channel="mail")
        telemetry.count("deliveries", 2, channel="mail")
        assert recorded.metric("dead_letters") == [({"consumer": "a"}, 1)]
        assert recorded.metric("deliveries") == [({"channel": "mail"}, 3)]
        for function in (telemetry.count, telemetry.gauge, telemetry.observe):
            with pytest.raises(KeyError):
                function("no_such_metric", 1)
    with pytest.raises(KeyError):
        telemetry.count("dead_letters")


async def test_a_request_costs_little() -> None:
    async def empty(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = Route()

    async def seconds_per_call(app: Any) -> float:
        best = 1.0
        for _ in range(5):
            began = time.process_time()
            for _ in range(200):
                await call(app, headers={"traceparent": TRACEPARENT})
            best = min(best, (time.process_time() - began) / 200)
        return best

    bare = await seconds_per_call(empty)
    off = await seconds_per_call(RequestTelemetry(empty, service="x")) - bare
    with telemetry.recording():
        on = await seconds_per_call(RequestTelemetry(empty, service="x")) - bare
    assert off < 0.000_05
    assert on < 0.000_15
