"""The application of a service: routes, problems, health and telemetry; the same for all of them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from town_kit import failpoints, telemetry
from town_kit.audit import record
from town_kit.auth.principal import Principal
from town_kit.db.errors import refusal_of
from town_kit.health import health_routes
from town_kit.messaging.notify import Notifier
from town_kit.openapi import describe
from town_kit.problems import (
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Problem,
    UnsupportedMedia,
    ValidationFailed,
)
from town_kit.readiness import checks
from town_kit.routing import Handling, is_declared
from town_kit.runtime import Runtime
from town_kit.service import Service
from town_kit.validation import field_errors

log = structlog.get_logger(__name__)
PROBLEM_JSON = "application/problem+json"
_BY_STATUS: Mapping[int, type[Problem]] = {
    400: MalformedRequest,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMedia,
}


def create_app(service: Service) -> FastAPI:
    """The ASGI application of ``service``. Its lifespan opens the pool, the notifier and the service's resources."""
    if service.settings.environment == "production":
        failpoints.forbid()
    runtime = Runtime(
        service=service.name,
        database=service.database,
        verifier=service.verifier,
        clock=service.clock,
        digest_key=record.digest_key(service.settings),
        extras=service.extras,
    )

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - the signature FastAPI calls
        async with lifespan(service, runtime):
            yield

    app = FastAPI(
        title=service.title,
        version="1.0.0",
        description=service.description,
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.runtime = runtime
    app.state.service = service
    for router in service.routers:
        app.router.routes.extend(router.routes)
    # Who cannot reach the event log still takes requests in: events wait in the outbox. A worker needs it.
    app.router.routes.extend(health_routes(checks(service), told={"event_log", "audit_anchor", *service.alarms}))
    app.router.add_route("/openapi.json", _description, include_in_schema=False)  # inside only: the gateway merges it
    app.add_exception_handler(Problem, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_validation)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(DBAPIError, _refuse_database)
    app.add_exception_handler(Exception, _refuse_unexpected)
    app.add_middleware(telemetry.RequestTelemetry, service=service.name)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's way to set it
    return app


@asynccontextmanager
async def lifespan(service: Service, runtime: Runtime) -> AsyncIterator[None]:
    """Open what the service needs while it serves; the composition root runs it for services called in process."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.database.running())
        notifier = await stack.enter_async_context(Notifier(service.database, service.name).running())
        runtime.notifier = notifier
        for resource in service.resources:
            await stack.enter_async_context(resource())
        yield


def town_routes(app: FastAPI) -> list[APIRoute]:
    """The declared routes of an application; health checks are not among them."""
    return [r for r in app.router.routes if is_declared(r)]


def problem_response(problem: Problem) -> Response:
    """The answer of a refusal: problem+json with the trace id."""
    return JSONResponse(
        problem.document(trace_id=telemetry.current_trace_id()),
        status_code=problem.status,
        headers={**problem.headers, "Cache-Control": "no-store"},
        media_type=PROBLEM_JSON,
    )


def _told(request: Request, problem: Problem) -> Response:
    """The refusal as the route tells it: problem+json, or the form of the standard it follows."""
    now: Handling | None = getattr(request.state, "town", None)
    tell = now.policy.refusal if now is not None else None
    return tell(problem) if tell is not None else problem_response(problem)


async def _description(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


async def _refuse(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    await _record_refusal(request, problem)
    return _told(request, problem)


async def _refuse_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _refuse(request, ValidationFailed(errors=field_errors(error)))


async def _refuse_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, InternalError if error.status_code >= 500 else MalformedRequest)
    problem = kind(headers={k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"})
    return problem_response(problem)


async def _refuse_database(request: Request, error: Exception) -> Response:
    return await _refuse(request, refusal_of(error) or InternalError())


async def _refuse_unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, error=type(error).__name__)
    return _told(request, refusal_of(error) or InternalError())


async def _record_refusal(request: Request, problem: Problem) -> None:
    """One audit record per refusal, in a transaction of its own after the first one has unwound."""
    now: Handling | None = getattr(request.state, "town", None)
    if now is None or now.policy.audit is None or problem.status >= 500:
        return
    principal: Principal | None = now.principal or getattr(request.state, "principal", None)
    row: dict[str, Any] = record.audit_row(
        action=now.policy.audit.action,
        basis=now.policy.audit.basis,
        purpose=now.policy.audit.purpose,
        principal=principal,
        subjects=(),
        fields=(),
        result=f"refused:{problem.slug}",
        at=now.runtime.clock.now(),
        trace_id=telemetry.current_trace_id(),
    )
    try:
        async with now.runtime.database.begin() as session:
            await record.insert(session, [row])
    except (DBAPIError, OSError, TimeoutError):
        log.exception("refusal_not_recorded", slug=problem.slug)
