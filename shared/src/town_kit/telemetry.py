"""Traces and metrics: one span per request, one trace through outbox and log, and nothing sent unless configured.

The trace context (W3C Trace Context) always flows, so that an event can be followed to its last effect whatever is
exported. Spans and metrics reach a collector by OTLP only when an endpoint is set; there is no page to scrape.
No span or metric holds a query string, a body or a person's data: a request is named by the template of its route.

:func:`configure` starts threads: call it after the fork, in a lifespan or where a worker starts.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import structlog
from opentelemetry import context, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from town_kit.asgi import App, Message, Receive, Scope, Send, header

log = structlog.get_logger(__name__)

SLOW_SECONDS = 1.0
EXPORT_SECONDS = 15
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

# name → (kind, unit, meaning). A metric that does not stand here does not exist.
METRICS: Mapping[str, tuple[str, str, str]] = {
    "http_request_duration": ("histogram", "s", "time from the request's head to the end of its answer"),
    "outbound_duration": ("histogram", "s", "time a call to another system took"),
    "event_lag": ("histogram", "s", "time from an event's commit to its effect's commit"),
    "outbox_oldest_age_seconds": ("gauge", "s", "age of the oldest event that is not yet in the log"),
    "consumer_lag": ("gauge", "1", "events between a consumer and the end of the log"),
    "parked_events": ("gauge", "1", "events that wait for an earlier one, or for a trouble to pass"),
    "parked_oldest_age_seconds": ("gauge", "s", "age of the oldest parked event"),
    "dead_letters": ("gauge", "1", "events nobody could process and nobody has settled"),
    "audit_unchained": ("gauge", "1", "audit records that are not yet chained"),
    "audit_anchor_age_seconds": (
        "gauge",
        "s",
        "how long the oldest audit record not yet anchored outside waits; alarm at 600",
    ),
    "staff_directory_away_seconds": ("gauge", "s", "time since the staff directory last answered; 0 while it does"),
    "sealed_staff_accounts_broken": ("gauge", "1", "sealed staff accounts whose envelope was opened"),
    "sealed_staff_account_uses_unreviewed": ("gauge", "1", "uses of sealed staff accounts nobody has looked at"),
    "callbacks_parked": ("gauge", "1", "deliveries to partners that are not tried any more"),
    "portal_oldest_waiting_seconds": (
        "gauge",
        "s",
        "age of the oldest application or status that has not reached its other side; alarm at 1800",
    ),
    "work_held_back": ("gauge", "1", "1 while background work waits for callers of the same machine"),
    "breaker_open": ("gauge", "1", "1 while calls to another system are held back"),
    "events_published": ("counter", "1", "events that reached the log"),
    "events_handled": ("counter", "1", "events whose effect was committed"),
    "deliveries": ("counter", "1", "messages to residents, by channel and outcome"),
    "sealed_staff_sign_ins": ("counter", "1", "tries to sign in with a sealed staff account, by outcome"),
    "callback_attempts": ("counter", "1", "tries to tell a partner's callback, by outcome"),
    "webhooks_refused": ("counter", "1", "webhooks whose signature, time or size was wrong, by portal and reason"),
    "requests_refused": ("counter", "1", "requests refused before any work, by reason"),
    "job_failures": ("counter", "1", "runs of a job that failed"),
}

_service: ContextVar[str] = ContextVar("town_service", default="")


@dataclass
class _Pipeline:
    """What spans and metrics go through in this process."""

    tracer: trace.Tracer | None = None
    histograms: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, Any] = field(default_factory=dict)
    gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    close: Callable[[], None] = lambda: None


_pipeline = _Pipeline()


def configure(process: str, *, endpoint: str | None = None) -> None:
    """Start sending this process's spans and metrics to ``endpoint`` (OTLP over HTTP); without one, send nothing.

    Args:
        process: ``service.name`` of what is sent, e.g. ``web`` or ``procedures``.
        endpoint: base address of a collector, e.g. ``http://127.0.0.1:4318``.
    """
    shutdown()
    if endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = endpoint.rstrip("/")
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=5), export_interval_millis=EXPORT_SECONDS * 1000
    )
    _start(process, BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=5)), reader)


def shutdown() -> None:
    """Send what is left and stop; call it at the end of a lifespan."""
    global _pipeline
    ended, _pipeline = _pipeline, _Pipeline()
    ended.close()


class Recording:
    """What was recorded in memory while :func:`recording` was on."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, oldest first."""
        return self._exporter.get_finished_spans()

    def metric(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The data points of a metric: attributes and value (for a histogram: the number of observations)."""
        data = self._reader.get_metrics_data()
        return [
            (dict(point.attributes or {}), getattr(point, "value", None) or getattr(point, "count", 0))
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == f"town.{name}"
            for point in metric.data.data_points
        ]


@contextmanager
def recording() -> Iterator[Recording]:
    """Keep this process's spans and metrics in memory while the block runs, for tests and drills."""
    record = Recording()
    shutdown()
    _start("recording", SimpleSpanProcessor(record._exporter), record._reader)
    try:
        yield record
    finally:
        shutdown()


def _start(process: str, processor: Any, reader: MetricReader) -> None:
    global _pipeline
    resource = Resource({"service.name": process, "service.namespace": "town"})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(processor)
    meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    meter = meters.get_meter("town_kit")
    pipeline = _Pipeline(tracer=tracers.get_tracer("town_kit"))

    def observe(name: str) -> Callable[[CallbackOptions], list[Observation]]:
        def values(_: CallbackOptions) -> list[Observation]:
            with pipeline.lock:
                found = [(labels, value) for (gauge, labels), value in pipeline.gauges.items() if gauge == name]
            return [Observation(value, dict(labels)) for labels, value in found]

        return values

    for name, (kind, unit, meaning) in METRICS.items():
        full = f"town.{name}"
        if kind == "histogram":
            pipeline.histograms[name] = meter.create_histogram(
                full, unit, meaning, explicit_bucket_boundaries_advisory=_SECONDS
            )
        elif kind == "counter":
            pipeline.counters[name] = meter.create_counter(full, unit, meaning)
        else:
            meter.create_observable_gauge(full, [observe(name)], unit, meaning)

    def close() -> None:
        tracers.shutdown()
        meters.shutdown()

    pipeline.close = close
    _pipeline = pipeline


def observe(name: str, seconds: float, **labels: str) -> None:
    """Add one observation to a histogram of :data:`METRICS`."""
    histogram = _pipeline.histograms.get(name)
    if histogram is not None:
        histogram.record(seconds, labels)
    elif METRICS[name][0] != "histogram":
        raise KeyError(name)


def count(name: str, by: int = 1, **labels: str) -> None:
    """Add to a counter of :data:`METRICS`."""
    counter = _pipeline.counters.get(name)
    if counter is not None:
        counter.add(by, labels)
    elif METRICS[name][0] != "counter":
        raise KeyError(name)


def gauge(name: str, value: float, **labels: str) -> None:
    """Set a gauge of :data:`METRICS`; the last value stands until it is set again."""
    if METRICS[name][0] != "gauge":
        raise KeyError(name)
    with _pipeline.lock:
        _pipeline.gauges[name, tuple(sorted(labels.items()))] = value


def current_service() -> str:
    """The service on whose behalf this code runs, or the empty string."""
    return _service.get()


def current_traceparent() -> str | None:
    """The ``traceparent`` header of what is running (W3C Trace Context), or None outside any span."""
    found = trace.get_current_span().get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}" if found.is_valid else None


def current_trace_id() -> str | None:
    """The id of the running trace as 32 hexadecimal digits, or None outside any span."""
    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None


def parse_traceparent(value: str | None) -> SpanContext | None:
    """The span a ``traceparent`` names, or None when it is absent or malformed; then a new trace begins."""
    if value is None or len(value) != 55 or value[2] != "-" or value[35] != "-" or value[52] != "-":
        return None
    try:
        found = SpanContext(
            int(value[3:35], 16), int(value[36:52], 16), is_remote=True, trace_flags=TraceFlags(int(value[53:55], 16))
        )
    except ValueError:
        return None
    return found if found.is_valid and value[:2] != "ff" else None


@contextmanager
def span(name: str, parent: str | None = None, **attributes: str | int | float | bool) -> Iterator[trace.Span]:
    """Run the block as a span, under ``parent`` (a ``traceparent``) or under what is running.

    An exception marks the span as failed by its type; its message, which may hold data, is not recorded.
    """
    opened = _open(name, parse_traceparent(parent), SpanKind.INTERNAL, attributes)
    token = context.attach(trace.set_span_in_context(opened))
    try:
        yield opened
    except Exception as error:
        opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        context.detach(token)
        opened.end()


def _open(name: str, parent: SpanContext | None, kind: SpanKind, attributes: Mapping[str, Any]) -> trace.Span:
    tracer = _pipeline.tracer
    if tracer is not None:
        above = trace.set_span_in_context(NonRecordingSpan(parent)) if parent else None
        return tracer.start_span(name, above, kind, attributes)
    above_context = parent or trace.get_current_span().get_span_context()
    trace_id = above_context.trace_id if above_context.is_valid else _random(128)
    return NonRecordingSpan(SpanContext(trace_id, _random(64), is_remote=False, trace_flags=_SAMPLED))


def _random(bits: int) -> int:
    return random.getrandbits(bits) or 1


class RequestTelemetry:
    """ASGI layer: one server span and one duration per request, named by the template of its route.

    Args:
        app: what answers.
        service: the service whose routes these are.
    """

    def __init__(self, app: App, *, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request inside a span; anything but HTTP passes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        raw = header(scope, b"traceparent")
        parent = parse_traceparent(raw.decode("latin-1")) if raw else None
        opened = _open(scope["method"], parent, SpanKind.SERVER, {"town.service": self.service})
        token = context.attach(trace.set_span_in_context(opened))
        service_token = _service.set(self.service)
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            _service.reset(service_token)
            context.detach(token)
            self._end(opened, scope, status, time.perf_counter() - began)

    def _end(self, opened: trace.Span, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        if _pipeline.tracer is not None:
            opened.update_name(f"{scope['method']} {route}")
            opened.set_attributes(
                {"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status}
            )
            if status >= 500:
                opened.set_status(Status(StatusCode.ERROR))
            observe(
                "http_request_duration",
                seconds,
                service=self.service,
                method=scope["method"],
                route=route,
                status=f"{status // 100}xx",
            )
        opened.end()
        if seconds > SLOW_SECONDS:
            log.warning("slow_request", method=scope["method"], route=route, status=status, seconds=round(seconds, 3))
