"""Requests made from a service's own description, and what every answer to them must be.

Schemathesis makes the requests from the OpenAPI document; they are sent here, in the loop the service lives in. The
same code serves the bounded test (`make test`) and the long search (`make fuzz`).
"""

import contextlib
import copy
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import hypothesis
import schemathesis
from fastapi import FastAPI
from hypothesis.errors import FlakyFailure, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from town_kit.auth import Role
from town_kit.ids import new_id
from town_kit.openapi import describe
from town_kit.problems import Problem
from town_kit.routing import Policy, is_declared, policy_of

CANARY = "kanaria9f3e7b1c"
NUMBER = "123456789018"  # a My Number by its check digit
BY_THE_FRAMEWORK = {400, 404, 405, 413, 415, 422}  # answers to requests that never reach a route's own rules
PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"
BYTES = (b"", b"PK\x03\x04", b"%PDF-1.7\n%%EOF", b"\xff\xd8\xff", bytes(range(256)) * 4)


@dataclass
class Asked:
    """One request, ready to be sent."""

    service: str
    method: str
    path: str
    declared: frozenset[int]
    official: bool
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    has_body: bool = False
    canary: bool = False
    first: bool = False
    roles: frozenset[Role] = frozenset()


def policies(app: FastAPI) -> dict[tuple[str, str], Policy]:
    """What the routes declare, by method and path."""
    return {
        (method, route.path_format): policy_of(route)
        for route in app.router.routes
        if is_declared(route)
        for method in route.methods or ()
    }


def requests(service: str, app: FastAPI, *, each: int, seed: int, until: float) -> Iterator[Asked]:
    """For every operation: requests as described, as they must not be, and ones full of canaries.

    Every operation is asked once; what comes after ``until`` (monotonic) is only that.
    """
    document = copy.deepcopy(describe(app))
    for told in (o for item in document["paths"].values() for o in item.values() if isinstance(o, dict)):
        if not {"application/json", FORM} & told.get("requestBody", {}).get("content", {FORM: None}).keys():
            told.pop("requestBody")  # files: schemathesis has no words for them
    schema = schemathesis.openapi.from_dict(document)
    rules = policies(app)
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        method, path = operation.method.upper(), operation.path
        policy = rules[method, path]
        declared = frozenset(int(status) for status in operation.definition.raw["responses"] if status.isdigit())
        first = True
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for case in cases(operation, mode, each if time.monotonic() < until else 1, seed):
                asked = _asked(service, method, path, policy, declared, case)
                asked.first, first = first, False
                yield asked
                if mode is GenerationMode.POSITIVE:
                    yield _with_canaries(asked, operation)


def cases(operation: Any, mode: GenerationMode, each: int, seed: int) -> list[Any]:
    """At most ``each`` requests of a kind; some operations have nothing that could be wrong."""
    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=each,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Unsatisfiable, FlakyFailure):
            collect()
    return found[:each]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _asked(service: str, method: str, path: str, policy: Policy, declared: frozenset[int], case: Any) -> Asked:
    filled = path
    for name, value in (case.path_parameters or {}).items():
        filled = filled.replace("{" + name + "}", quote(_text(value), safe="") or "%20")
    asked = Asked(service, method, filled, declared, policy.official is not None)
    asked.roles = policy.roles if policy.scope is not None else frozenset({Role.RESIDENT})
    asked.query = {k: v if isinstance(v, list) else _text(v) for k, v in (case.query or {}).items() if v is not None}
    for name, value in (case.headers or {}).items():
        plain = _text(value)
        if plain.isascii() and plain.isprintable() and name.lower() != "authorization":
            asked.headers[name] = plain.strip()
    if policy.idempotent:
        asked.headers["Idempotency-Key"] = str(new_id())
    body = case.body
    asked.has_body = type(body).__name__ != "NotSet"
    if policy.upload:
        asked.has_body, asked.content = True, BYTES[len(repr(asked.query)) % len(BYTES)]
        asked.headers["Content-Type"] = sorted(policy.upload)[0]
    elif asked.has_body:
        if isinstance(body, bytes):
            asked.content = body
        else:
            asked.json = body
        asked.headers["Content-Type"] = case.media_type or "application/json"
    return asked


def _with_canaries(asked: Asked, operation: Any) -> Asked:
    marked = copy.deepcopy(asked)
    marked.canary = True
    marked.query = dict.fromkeys(marked.query, CANARY) | {CANARY: NUMBER}
    marked.headers |= {"If-Match": CANARY} if "If-Match" in marked.headers else {}
    marked.headers |= {"X-Request-Id": NUMBER, "Traceparent": CANARY}
    if "{" in operation.path:
        head, _, rest = operation.path.partition("{")
        marked.path = head + CANARY + rest.partition("}")[2].replace("{", "").replace("}", "")
    if marked.has_body and marked.content is None:
        marked.json = _mark(marked.json)
    elif marked.content is not None:
        marked.content = f"{CANARY},{NUMBER}\n".encode()
    return marked


def _mark(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mark(one) for name, one in value.items()} | {CANARY: NUMBER}
    if isinstance(value, list):
        return [_mark(one) for one in value]
    return CANARY if isinstance(value, str) else int(NUMBER) if isinstance(value, int) else value


async def send(client: Any, asked: Asked, token: str | None) -> Any:
    """The answer of the service."""
    headers = dict(asked.headers)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    sent: dict[str, Any] = {"headers": headers}
    if asked.content is not None:
        sent["content"] = asked.content
    elif asked.has_body and headers.get("Content-Type") == FORM:
        sent["data"] = {k: _text(v) for k, v in asked.json.items()} if isinstance(asked.json, dict) else None
    elif asked.has_body:
        sent["json"] = asked.json
    return await client.request(asked.method, asked.path, params=asked.query or None, **sent)


def faults(asked: Asked, answer: Any) -> list[str]:
    """What is wrong with an answer; empty when all is well."""
    status, kind = answer.status_code, answer.headers.get("content-type", "").partition(";")[0]
    found = []
    if status >= 500 and status != 503:
        found.append(f"{status}")
    if status not in asked.declared | BY_THE_FRAMEWORK | {503}:
        found.append(f"{status} is not declared")
    if status >= 400 and not asked.official:
        slug = answer.json().get("type", "").removeprefix("urn:town:problem:") if kind == PROBLEM else None
        if slug is None:
            found.append(f"{status} as {kind or 'nothing'} instead of a problem")
        elif slug not in Problem.catalogue:
            found.append(f"the problem {slug} is not in the catalogue")
    if status >= 400:
        told = answer.text + repr(answer.headers)
        found += [f"{status} gives {word} back" for word in (CANARY, NUMBER) if asked.canary and word in told]
    return [f"{asked.method} {asked.service}{asked.path}: {fault}" for fault in found]


def everything(apps: dict[str, FastAPI]) -> dict[Role, str]:
    """For every role all scopes there are."""
    scopes = {p.scope for app in apps.values() for p in policies(app).values() if p.scope is not None}
    return dict.fromkeys(Role, " ".join(sorted(scopes)))
