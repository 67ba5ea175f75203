"""Asking a service behind the gateway with the resident's own token, and passing its refusal on."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import httpx
from fastapi import Request
from starlette.responses import Response

from town_gateway.ports import Connect
from town_kit.problems import URN, DependencyUnavailable, Problem

SECONDS = 10.0
RELAYED = ("content-type", "etag", "retry-after", "idempotency-replayed", "cache-control")
CARRIED = ("authorization", "idempotency-key", "content-type", "x-request-id", "traceparent", "forwarded")


async def ask(connect: Connect, path: str, request: Request, **query: str | int | None) -> Any:
    """The document a service answers to the caller's token.

    Raises:
        DependencyUnavailable: it does not answer.
        Problem: it refuses; the refusal is given on as it is.
    """
    params = {name: value for name, value in query.items() if value is not None}
    answer = await _send(connect, "GET", path, request, params=params)
    if answer.status_code == 200:
        return answer.json()
    raise _refusal(answer)


async def ask_all(*questions: Coroutine[Any, Any, Any]) -> list[Any]:
    """Several questions at once; the first refusal is the answer."""
    return list(await asyncio.gather(*questions))


async def pass_on(connect: Connect, method: str, path: str, request: Request) -> Response:
    """Give a request on as it came, and its answer back as it is: status, body, ETag."""
    answer = await _send(connect, method, path, request, content=await request.body())
    headers = {name: answer.headers[name] for name in RELAYED if name in answer.headers}
    return Response(answer.content, status_code=answer.status_code, headers=headers)


async def _send(connect: Connect, method: str, path: str, request: Request, **options: Any) -> httpx.Response:
    headers = {name: request.headers[name] for name in CARRIED if name in request.headers}
    try:
        async with connect() as client:
            return await client.request(method, path, headers=headers, timeout=SECONDS, **options)
    except (httpx.HTTPError, OSError):
        raise DependencyUnavailable("しばらくしてから、もう一度お試しください。", retry_after=5) from None


def _refusal(answer: httpx.Response) -> Problem:
    """The same refusal as a class of our own; what is not a problem document means the service is not well."""
    try:
        document: Mapping[str, Any] = answer.json()
        kind = Problem.catalogue.get(str(document["type"]).removeprefix(URN))
    except (ValueError, KeyError, TypeError):
        kind = None
    if kind is None or kind.status >= 500:
        return DependencyUnavailable("しばらくしてから、もう一度お試しください。", retry_after=5)
    return kind(document.get("detail"))
