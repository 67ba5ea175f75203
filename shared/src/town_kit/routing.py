"""The request path: authenticate → parse strictly → claim the key → use case → keep the answer → commit → respond.

A route declares what it needs (scope, roles, problems, audit) beside its path; :class:`TownRoute` enforces it and the
contracts and the authorisation matrix are generated from the same declaration. Only exception handlers turn problems
into answers: a problem caught here would return normally, and returning commits.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeGuard

import structlog
from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from town_kit.auth.principal import Principal, Role
from town_kit.db.errors import refusal_of
from town_kit.failpoints import failpoint
from town_kit.idempotency import Claim, Replay, canonical, claim, stored_answer, strict_json
from town_kit.problems import (
    FieldError,
    IdempotencyMismatch,
    InProgress,
    InsufficientScope,
    InternalError,
    InvalidToken,
    PayloadTooLarge,
    PreconditionRequired,
    Problem,
    UnsupportedMedia,
    ValidationFailed,
    ZoneViolation,
)
from town_kit.queries import query_names, refuse_my_number, refuse_nul
from town_kit.runtime import Runtime
from town_kit.uploads import Upload, receive
from town_kit.writing import finish

log = structlog.get_logger(__name__)
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
JSON_LIMIT = 1024 * 1024
_DECLARED = "__town_policy__"

BEGIN = text("SELECT * FROM town_begin(:principal, :role, :lock, :claim)")
STORED = text("SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE scope_hash = :claim")


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit record of a route says: the action, its legal basis (根拠法令), the business it is for (事務)."""

    action: str
    basis: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route declares; the kit enforces it, the contracts and the matrix are generated from it.

    ``official`` names the outside standard a route follows instead of the house rules, and ``refusal`` writes its
    refusals in that standard's form; ``keyless`` is the reason why an unsafe route needs no ``Idempotency-Key`` (for
    example that what it redeems can be redeemed once only).
    """

    scope: str | None
    roles: frozenset[Role]
    audit: Audit | None
    problems: tuple[type[Problem], ...]
    official: str | None
    keyless: str | None
    idempotent: bool
    if_match: bool
    upload: frozenset[str]
    max_body: int
    two_factors: bool
    refusal: Callable[[Problem], Response] | None = None


def policy_of(route: APIRoute) -> Policy:
    """What a declared route declared; see :func:`is_declared`."""
    policy: Policy = vars(route.endpoint)[_DECLARED]
    return policy


def is_declared(route: object) -> TypeGuard[APIRoute]:
    """Whether a route was declared by a :class:`TownRouter`; health checks and static pages are not."""
    return isinstance(route, APIRoute) and _DECLARED in vars(route.endpoint)


@dataclass(slots=True)
class Handling:
    """What the request path knows of one request; lives in ``request.state.town``."""

    policy: Policy
    runtime: Runtime
    principal: Principal | None = None
    claim: Claim | None = None
    upload: Upload | None = None
    expected_version: int | None = None
    session: AsyncSession | None = None
    prepares: bool = False
    created: str | None = None


def handling(request: Request) -> Handling:
    """The handling of this request."""
    found: Handling = request.state.town
    return found


@asynccontextmanager
async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction for one request: principal and role set, key locked, a stored answer replayed."""
    now = handling(request)
    async with now.runtime.database.sessions() as session, session.begin():
        begun = (
            await session.execute(
                BEGIN,
                {
                    "principal": str(now.principal.id) if now.principal else "",
                    "role": now.principal.role.value if now.principal else "",
                    "lock": now.claim.lock if now.claim else 0,
                    "claim": now.claim.scope_hash if now.claim else None,
                },
            )
        ).one()
        if not begun.claimed:
            raise InProgress("同じ操作がまだ終わっていません。数秒後に同じ内容で送り直してください。", retry_after=1)
        if now.claim is not None and begun.fingerprint is not None:
            raise Replay(_first_answer(begun, now.claim))
        now.session = session
        yield session
        action = now.policy.audit.action if now.policy.audit else ""
        failpoint("before-commit", action)
    if now.created is not None:  # where logs are kept elsewhere, they name what a restored backup does not have
        log.info("created", action=action, location=now.created)
    failpoint("after-commit-before-reply", action)


def _first_answer(row: Any, asked: Claim) -> Response:
    """The stored answer, instead of everything that would follow; other content is refused."""
    if bytes(row.fingerprint) != asked.fingerprint:
        raise IdempotencyMismatch("内容を変えて送るときは、新しい Idempotency-Key を付けてください。")
    return stored_answer(row)


async def _stored(now: Handling) -> Response | None:
    """A stored answer, looked up without the key's lock; the look-up under the lock comes with the transaction."""
    if now.claim is None or now.principal is None:
        return None
    async with now.runtime.database.begin(role=now.principal.role.value, principal=now.principal.id) as session:
        row = (await session.execute(STORED, {"claim": now.claim.scope_hash})).one_or_none()
    return _first_answer(row, now.claim) if row is not None else None


async def _immediate(request: Request) -> AsyncIterator[AsyncSession]:
    async with transaction(request) as session:
        yield session


async def _deferred(request: Request) -> AsyncIterator[Callable[[], Awaitable[AsyncSession]]]:
    handling(request).prepares = True
    async with AsyncExitStack() as stack:

        async def begin() -> AsyncSession:
            return await stack.enter_async_context(transaction(request))

        yield begin


async def _actor(request: Request) -> Principal:
    principal = handling(request).principal
    if principal is None:
        raise InvalidToken("ログインしてください。")
    return principal


async def _expected_version(request: Request) -> int:
    expected = handling(request).expected_version
    if expected is None:
        raise PreconditionRequired("最新の内容を読み直し、ETag を If-Match に付けて送ってください。")
    return expected


async def _upload(request: Request) -> Upload:
    upload = handling(request).upload
    if upload is None:
        raise UnsupportedMedia("ファイルの内容を本文に入れて送ってください。")
    return upload


# The only names a service uses. `scope="function"` commits before the response leaves; the plain form commits after.
Tx = Annotated[AsyncSession, Depends(_immediate, scope="function")]
Begin = Annotated[Callable[[], Awaitable[AsyncSession]], Depends(_deferred, scope="function")]
Actor = Annotated[Principal, Depends(_actor)]
ExpectedVersion = Annotated[int, Depends(_expected_version)]
ReceivedUpload = Annotated[Upload, Depends(_upload)]


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


class TownRoute(APIRoute):
    """A route that keeps the order of the request path."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler: what is refused raises, what is replayed returns, what is done is kept and then committed."""
        inner = super().get_route_handler()
        policy = policy_of(self)
        known = frozenset(query_names(self.dependant))

        async def handle(request: Request) -> Response:
            runtime: Runtime = request.app.state.runtime
            now = request.state.town = Handling(policy=policy, runtime=runtime)
            now.principal = await _authenticate(request, policy, runtime)
            try:
                refuse_nul(request)
                if request.scope["query_string"] and not policy.official:
                    refuse_my_number(request, known)
                await _read(request, now)
                response = await inner(request)
                if now.session is not None:
                    await finish(now.session, now, response)
                    now.created = response.headers.get("location")
                return response
            except Replay as replay:
                return replay.response
            except Problem:
                if now.prepares and now.session is None and (answer := await _stored(now)) is not None:
                    # What refused it is what the first try has done: its file is used, its day is over. Looked up here
                    # only, and under the key's lock, because most requests are the first of their key.
                    return answer
                raise
            except (RequestValidationError, HTTPException):
                raise
            except Exception as error:
                refusal = refusal_of(error)
                if refusal is None:
                    log.exception("request_failed", route=self.path_format)
                    raise InternalError from error
                raise refusal from error
            finally:
                if now.upload is not None:
                    now.upload.close()

        return handle


async def _authenticate(request: Request, policy: Policy, runtime: Runtime) -> Principal | None:
    header = request.headers.get("authorization")
    if header is None:
        if policy.scope is None:
            return None
        raise InvalidToken("アクセストークンを付けて送ってください。", headers={"WWW-Authenticate": "Bearer"})
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer" or not token:
        if policy.official:
            return None  # e.g. HTTP Basic at an OAuth token endpoint: the route reads it by its own standard
        raise InvalidToken("アクセストークンを付けて送ってください。", headers={"WWW-Authenticate": "Bearer"})
    if policy.scope is None:
        return None
    principal = await runtime.verifier.verify(token)
    request.state.principal = principal
    if not principal.may(policy.scope) or principal.role not in policy.roles:
        if principal.role is Role.SERVICE and policy.roles and Role.SERVICE not in policy.roles:
            raise ZoneViolation("このシステムからは利用できません。利用できる窓口をシステム担当に確認してください。")
        raise InsufficientScope("必要な権限を管理者に確認してください。")
    if policy.two_factors and len(principal.amr) < 2:
        raise InsufficientScope("二要素認証でログインし直してください。")
    return principal


async def _read(request: Request, now: Handling) -> None:
    policy, secret = now.policy, now.runtime.digest_key
    if request.method not in UNSAFE:
        return
    if policy.upload:
        now.upload = await receive(request, media_types=policy.upload, limit=policy.max_body, secret=secret)
        content = now.upload.digest
    elif policy.official:
        content = b""
    else:
        raw = await _bounded_body(request, policy.max_body)
        if raw and not request.headers.get("content-type", "").startswith("application/json"):
            raise UnsupportedMedia("Content-Type を application/json にしてください。")
        document = strict_json(raw) if raw else None
        request._json = document  # FastAPI reads the parsed form from here: nothing is parsed twice
        content = canonical(document) if raw else b""
    if policy.idempotent:
        now.claim = claim(request, now.principal, content, secret)
    if policy.if_match:
        now.expected_version = _version(request.headers.get("if-match"))


async def _bounded_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise PayloadTooLarge(f"本文は {limit // 1024} KB までです。")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(f"本文は {limit // 1024} KB までです。")
        chunks.append(chunk)
    request._body = b"".join(chunks)
    return request._body


def _version(header: str | None) -> int | None:
    if header is None:
        return None
    bare = header.strip().removeprefix("W/").strip('"')
    if not (bare.isascii() and bare.isdigit() and len(bare) < 10):
        raise ValidationFailed(
            "If-Match には読み込んだときの ETag を付けてください。",
            errors=[FieldError("/If-Match", "etag", "ETag の形式ではありません。")],
        )
    return int(bare)


class TownRouter(APIRouter):
    """A router whose routes declare scope, roles, problems and audit beside the path."""

    def __init__(self, *, prefix: str = "", tags: Sequence[str] = ()) -> None:
        super().__init__(prefix=prefix, tags=list(tags), route_class=TownRoute, redirect_slashes=False)

    def _declare(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        scope: str | None,
        roles: Sequence[Role] = tuple(Role),
        audit: Audit | None = None,
        problems: Sequence[type[Problem]] = (),
        official: str | None = None,
        keyless: str | None = None,
        if_match: bool = False,
        upload: Sequence[str] = (),
        max_body: int = JSON_LIMIT,
        two_factors: bool = False,
        refusal: Callable[[Problem], Response] | None = None,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        policy = Policy(
            scope=scope,
            roles=frozenset(roles),
            audit=audit,
            problems=tuple(problems),
            official=official,
            idempotent=method in UNSAFE and official is None and keyless is None,
            keyless=keyless,
            if_match=if_match,
            upload=frozenset(upload),
            max_body=max_body,
            two_factors=two_factors,
            refusal=refusal,
        )

        def register(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            vars(endpoint)[_DECLARED] = policy
            self.add_api_route(path, endpoint, methods=[method], **options)
            return endpoint

        return register

    def get(self, path: str, **declaration: Any) -> Callable[..., Any]:
        """A route that reads."""
        return self._declare("GET", path, **declaration)

    def post(self, path: str, **declaration: Any) -> Callable[..., Any]:
        """A route that makes something or moves its state."""
        return self._declare("POST", path, **declaration)

    def put(self, path: str, **declaration: Any) -> Callable[..., Any]:
        """A route that replaces something."""
        return self._declare("PUT", path, **declaration)

    def patch(self, path: str, **declaration: Any) -> Callable[..., Any]:
        """A route that changes a part of something."""
        return self._declare("PATCH", path, **declaration)

    def delete(self, path: str, **declaration: Any) -> Callable[..., Any]:
        """A route that removes something."""
        return self._declare("DELETE", path, **declaration)
