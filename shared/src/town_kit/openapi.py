"""OpenAPI 3.1 of an application, with what its routes declare: scope, problems, audit, keys."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from town_kit.problems import (
    DuplicateMember,
    IdempotencyKeyMissing,
    IdempotencyMismatch,
    InProgress,
    InsufficientScope,
    InternalError,
    InvalidToken,
    MalformedRequest,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    UnsupportedMedia,
    ValidationFailed,
)
from town_kit.routing import is_declared, policy_of

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 の問題文書。type は urn:town:problem:<slug>。入力内容は含みません。",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "message")},
            },
        },
    },
}

_DONE = {
    "200": "成功しました",
    "201": "作成しました",
    "202": "受け取りました。処理はこれからです",
    "204": "成功しました。本文はありません",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of ``app``; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.router.routes
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = PROBLEM_SCHEMA
        document["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "アクセストークン"}
        }
        for route in app.router.routes:
            if is_declared(route):
                for method in route.methods or ():
                    _complete(document["paths"][route.path_format][method.lower()], route)
        used = {tag for item in document["paths"].values() for operation in item.values() for tag in operation["tags"]}
        document["tags"] = [{"name": tag} for tag in sorted(used)]
        app.openapi_schema = document
    return app.openapi_schema


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    policy = policy_of(route)
    summary, _, rest = (route.endpoint.__doc__ or "").strip().partition("\n")
    operation["operationId"] = route.name
    operation["summary"] = summary.split("。")[0]
    operation["description"] = (summary + "\n" + rest).strip()
    responses = operation["responses"]
    responses.pop("422", None)
    for status, answer in responses.items():
        if answer.get("description") == "Successful Response":  # FastAPI's words where a route has none
            answer["description"] = _DONE[status]
    for problem in problems_of(route):
        answer = responses.setdefault(
            str(problem.status),
            {
                "description": "",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        )
        line = f"`{problem.slug}` {problem.title}"
        answer["description"] = f"{answer['description']}\n{line}".strip()
    if policy.scope is not None:
        operation["security"] = [{"token": []}]
        operation["x-scope"] = policy.scope
        operation["x-roles"] = sorted(role.value for role in policy.roles)
    parameters = operation.setdefault("parameters", [])
    if policy.idempotent:
        parameters.append(_header("Idempotency-Key", "同じ操作を一度だけ行うための鍵（8〜255文字）"))
    if policy.if_match:
        parameters.append(_header("If-Match", "読み込んだときの ETag"))
    if policy.upload:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in sorted(policy.upload)},
        }
    if policy.keyless:
        operation["x-keyless"] = policy.keyless
    if policy.official:
        operation["x-official"] = policy.official
    if not parameters:
        operation.pop("parameters")


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def problems_of(route: APIRoute) -> list[type[Problem]]:
    """Every refusal a route may give: its own and those the request path gives for what it declares."""
    policy = policy_of(route)
    found: list[type[Problem]] = [*policy.problems, InternalError]
    if policy.scope is not None:
        found += [InvalidToken, InsufficientScope]
    if "{" in route.path_format:
        found.append(NotFound)
    if policy.idempotent:
        found += [IdempotencyKeyMissing, InProgress, IdempotencyMismatch, MalformedRequest, ValidationFailed]
    if route.body_field is not None and policy.official is None:
        found += [MalformedRequest, DuplicateMember, ValidationFailed, PayloadTooLarge, UnsupportedMedia]
    if policy.if_match:
        found += [PreconditionRequired, PreconditionFailed]
    if route.dependant.query_params or route.dependant.path_params:
        found.append(ValidationFailed)
    return list(dict.fromkeys(found))
