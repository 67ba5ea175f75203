"""The little of ASGI that is needed below a framework: types, and a refusal sent without one."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from town_kit.problems import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header called ``name`` (lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def rendered(
    problem: Problem, *, trace_id: str | None = None, headers: Iterable[Header] = ()
) -> tuple[dict[str, Any], bytes]:
    """A problem document (RFC 9457) as bytes: status and headers of the answer, and its body."""
    body = json.dumps(problem.document(trace_id=trace_id), ensure_ascii=False).encode()
    fields = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()),
        *headers,
    ]
    return {"status": problem.status, "headers": fields}, body


async def send_problem(
    send: Send, problem: Problem, *, trace_id: str | None = None, headers: Iterable[Header] = ()
) -> None:
    """Answer with a problem document (RFC 9457), from a layer that has no framework around it."""
    start, body = rendered(problem, trace_id=trace_id, headers=headers)
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": body})
