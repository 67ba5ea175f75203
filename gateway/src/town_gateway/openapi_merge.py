"""One OpenAPI 3.1 description of all services as they are seen from outside: prefixes added, inner routes left out."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import structlog

from town_gateway.routes import Operation, Route

log = structlog.get_logger(__name__)

Document = dict[str, Any]
SHARED_SCHEMAS = frozenset({"Problem"})
METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_REFERENCE = re.compile(r"^#/components/(\w+)/(.+)$")
INTRODUCTION = """住民・職員・事業者のための町の API です。日付と時刻は RFC 3339（日本時間で表示）、金額は円の整数です。

* 書き込みには `Idempotency-Key` を付けます。同じ鍵で送り直すと、最初の答えがもう一度返ります。
* 断られたときの答えは RFC 9457（`application/problem+json`）です。`type` は `urn:town:problem:<slug>` です。
* `RateLimit` と `RateLimit-Policy` ヘッダーが残りの回数を示します。
"""


KEEP_SECONDS = 300.0
KEEP_PART_SECONDS = 5.0


class Description:
    """The merged description, asked from the services and kept for some minutes.

    A service that does not answer is left out and named in ``x-unavailable``; then it is asked again soon.
    """

    def __init__(
        self,
        services: Mapping[str, Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]],
        routes: Sequence[Route],
    ) -> None:
        self._services = services
        self._routes = routes
        self._kept: Document = {}
        self._until = 0.0

    async def document(self, own: Document) -> Document:
        """The description of everything that can be reached from outside; ``own`` is the gateway's part."""
        if time.monotonic() >= self._until:
            found = await asyncio.gather(*(self._ask(route) for route in self._routes))
            self._kept = merge(own, [(r, d) for r, d in zip(self._routes, found, strict=True) if d is not None])
            missing = [r.service for r, d in zip(self._routes, found, strict=True) if d is None]
            if missing:
                self._kept["x-unavailable"] = missing
            self._until = time.monotonic() + (KEEP_PART_SECONDS if missing else KEEP_SECONDS)
        return self._kept

    async def _ask(self, route: Route) -> Document | None:
        try:
            async with self._services[route.service]() as client:
                answer = await client.get("/openapi.json", timeout=10)
            answer.raise_for_status()
            document: Document = answer.json()
            if "paths" not in document:
                raise KeyError("paths")  # noqa: TRY301 - the same as any other unusable answer
        except (httpx.HTTPError, OSError, ValueError, KeyError) as failure:
            log.warning("description_missing", service=route.service, reason=type(failure).__name__)
            return None
        return document


def merge(own: Document, services: Iterable[tuple[Route, Document]]) -> Document:
    """The description of the gateway and of every service behind it.

    Args:
        own: the gateway's own routes (app APIs, webhooks).
        services: each service's row of the route table and its own description.
    """
    merged: Document = {
        "openapi": "3.1.0",
        "info": {"title": "町のデジタル基盤 API", "version": own["info"]["version"], "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": list(own.get("tags", ())),
        "paths": dict(own["paths"]),
        "components": {kind: dict(parts) for kind, parts in own.get("components", {}).items()},
    }
    for route, document in services:
        merged["tags"].append({"name": route.service, "description": route.title, "x-zone": route.zone.value})
        known = {tag["name"] for tag in merged["tags"]}
        merged["tags"].extend(tag for tag in document.get("tags", ()) if tag["name"] not in known)
        _add(merged, route, document)
    schemas = merged["components"].get("schemas", {})
    while unused := schemas.keys() - set(_schemas_named(merged)):
        for name in unused:  # those of routes that only the town's own services reach
            del schemas[name]
    return merged


def _schemas_named(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str) and (found := _REFERENCE.match(value)):
                yield found[2]
            else:
                yield from _schemas_named(value)
    elif isinstance(part, list):
        for inner in part:
            yield from _schemas_named(inner)


def _add(merged: Document, route: Route, document: Document) -> None:
    for path, item in document["paths"].items():
        if route.reachable(path):
            merged["paths"][route.prefix + path] = {
                method: _operation(route, part) if method in METHODS else _rename(part, route.service)
                for method, part in item.items()
            }
    for kind, parts in document.get("components", {}).items():
        target = merged["components"].setdefault(kind, {})
        for name, part in parts.items():
            target.setdefault(_name(kind, name, route.service), _rename(part, route.service))


def _operation(route: Route, operation: Document) -> Document:
    renamed: Document = _rename(operation, route.service)
    renamed["tags"] = [route.service, *operation.get("tags", ())]
    if "operationId" in operation:
        renamed["operationId"] = f"{route.service}_{operation['operationId']}"
    return renamed


def _name(kind: str, name: str, service: str) -> str:
    return name if kind != "schemas" or name in SHARED_SCHEMAS else f"{service}.{name}"


def _rename(part: Any, service: str) -> Any:
    """The same part with its references led to the renamed components."""
    if isinstance(part, Mapping):
        return {
            key: _reference(value, service) if key == "$ref" else _rename(value, service) for key, value in part.items()
        }
    if isinstance(part, list):
        return [_rename(inner, service) for inner in part]
    return part


def _reference(reference: str, service: str) -> str:
    found = _REFERENCE.match(reference)
    return f"#/components/{found[1]}/{_name(found[1], found[2], service)}" if found else reference


def public_operations(document: Document) -> set[Operation]:
    """The operations of a service that ask for no token, as its own description says."""
    return {
        Operation(method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS and not operation.get("security")
    }
