"""Logs: one JSON object a line, with service, zone and trace, and without anything about a person.

Two nets hold personal data back: members whose *name* says what they hold, and values in which a My Number
(個人番号: 12 digits, half or full width, right check digit) stands. Bytes are never written. Of an exception its type
and the places it passed are written; its message, which may quote a value, only in development and through the same
nets. Libraries that log by the standard library come out the same way.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, TextIO
from uuid import UUID

import structlog

from town_kit import telemetry
from town_kit.jp import contains_my_number

REDACTED = "[redacted]"
LONGEST_TEXT = 2_000
DEEPEST = 4

# Words that make a member personal, wherever they stand between underscores.
PERSONAL_WORDS = frozenset(
    {
        "kana",
        "address",
        "phone",
        "telephone",
        "tel",
        "email",
        "mail",
        "birth",
        "birthday",
        "birthdate",
        "sex",
        "gender",
        "mynumber",
        "password",
        "passwd",
        "secret",
        "token",
        "authorization",
        "cookie",
        "assertion",
        "credential",
        "credentials",
        "certificate",
        "signature",
        "answers",
        "氏名",
        "名前",
        "カナ",
        "住所",
        "電話番号",
        "生年月日",
        "個人番号",
        "性別",
    }
)
PERSONAL_NAMES = frozenset(
    {
        "name",
        "full_name",
        "family_name",
        "given_name",
        "first_name",
        "last_name",
        "middle_name",
        "nickname",
        "person_name",
        "resident_name",
        "household_name",
        "applicant_name",
        "my_number",
        "individual_number",
        "account_number",
        "body",
        "payload",
        "params",
        "query",
        "query_string",
    }
)
_WORDS = re.compile(r"[_\-.\s]+|(?<=[a-z])(?=[A-Z])")
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_ID = re.compile(rf"[0-9a-f]{{32}}|{_UUID}", re.IGNORECASE)
# One id in a thousand has twelve digits in a row that look like a My Number; a line that names what was made needs it.
_ID_IN_PATH = re.compile(rf"(?<=/){_UUID}(?=/|\Z)", re.IGNORECASE)
_personal: dict[str, bool] = {}


def configure(
    service: str, level: str = "info", *, zone: str | None = None, production: bool = True, stream: TextIO | None = None
) -> None:
    """Write this process's logs to ``stream`` (standard error); may be called again, e.g. after a fork.

    Args:
        service: the process or service; a request's own service stands in its lines instead.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        zone: the network zone of the process, if it has one alone.
        production: never write the message of an exception.
        stream: where the lines go.
    """
    number = getattr(logging, level.upper())
    target: Any = stream or _StandardError()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _about(service, zone),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _exceptions(production),
        redact,
    ]
    structlog.configure(
        processors=[*shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(_ForeignFormatter(shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.INFO))
    for noisy in ("httpx", "httpcore", "asyncio", "aiokafka", "uvicorn.access", "sqlalchemy.engine"):
        logging.getLogger(noisy).setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that takes personal data out of a line."""
    return {name: _clean(name, value, 0) for name, value in event.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if _is_personal(name):
        return REDACTED
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, int):
        return REDACTED if contains_my_number(str(value)) else value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[{len(value)} bytes]"
    if depth >= DEEPEST:
        return f"[{type(value).__name__}]"
    if isinstance(value, Mapping):
        return {str(key): _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean("", inner, depth + 1) for inner in list(value)[:100]]
    if isinstance(value, BaseException):
        return type(value).__name__
    return _clean_text(str(value))


def _clean_text(value: str) -> str:
    if _ID.fullmatch(value):
        return value
    if contains_my_number(_ID_IN_PATH.sub("id", value)):
        return REDACTED
    return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"


def _is_personal(name: str) -> bool:
    known = _personal.get(name)
    if known is None:
        words = _WORDS.split(name)
        lowered = [word.lower() for word in words]
        known = "_".join(lowered) in PERSONAL_NAMES or not PERSONAL_WORDS.isdisjoint(lowered)
        if len(_personal) < 10_000:
            _personal[name] = known
    return known


def _about(service: str, zone: str | None) -> Any:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", telemetry.current_service() or service)
        if zone is not None:
            event.setdefault("zone", zone)
        trace_id = telemetry.current_trace_id()
        if trace_id is not None:
            event.setdefault("trace_id", trace_id)
        return event

    return add


def _exceptions(production: bool) -> Any:
    def describe(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        told = event.pop("exc_info", None)
        error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
        if isinstance(error, BaseException):
            event["exception"] = [_described(one, production) for one in _causes(error)]
        event.pop("stack_info", None)
        return event

    return describe


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found and len(found) < 5:
        found.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return found


def _described(error: BaseException, production: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    if not production:
        described["message"] = str(error)
    described["at"] = _places(error.__traceback__)
    return described


def _places(where: TracebackType | None) -> list[str]:
    """The innermost places an exception passed, as ``file:line function``; no line of source, no value."""
    frames = traceback.extract_tb(where, limit=-12) if where else []
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(path: str) -> str:
    for mark in ("/site-packages/", "/src/"):
        if mark in path:
            return path.rpartition(mark)[2]
    return path


def _render(_: Any, __: str, event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str)


class _StandardError:
    """Whatever ``sys.stderr`` is when a line is written; it may be another one than at the start."""

    def write(self, line: str) -> int:
        """Write a line."""
        return sys.stderr.write(line)

    def flush(self) -> None:
        """Send it off."""
        sys.stderr.flush()


class _ForeignFormatter(logging.Formatter):
    """Sends a record of the standard library through the same processors."""

    def __init__(self, processors: list[Any]) -> None:
        super().__init__()
        self._processors = processors

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        event: Any = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for processor in self._processors:
            event = processor(None, record.levelname.lower(), event)
        return _render(None, "", event)
