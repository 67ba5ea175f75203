"""Calls to other systems: fixed hosts, time limits, retries where they are safe, and a breaker.

:func:`outbound` is what a service uses for every outside system. :func:`connect` is the plain client below it, for an
address that may be a URL, a socket file (``unix:/run/town/procedures.sock``) or an application in the same process
(``asgi:identity``). No call follows a redirect or reads a proxy from the environment, and nothing is ever fetched
because a message or a certificate names a URL: hosts come from configuration alone.
"""

import asyncio
import importlib.util
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import aiohttp
import httpx
import stamina
from httpx_aiohttp import AiohttpTransport

from town_kit import telemetry
from town_kit.asgi import App
from town_kit.breaker import Breaker, BreakerOpen
from town_kit.problems import DependencyUnavailable

IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
TRANSIENT_STATUS = frozenset({429, 502, 503, 504})
ANSWER_LIMIT = 32 * 1024 * 1024
_INSIDE = "http://internal"
_apps: dict[str, App] = {}


def register_app(name: str, app: App) -> None:
    """Let ``asgi:<name>`` reach ``app`` in this process."""
    _apps[name] = app


def registered_app(name: str) -> App:
    """The application that ``asgi:<name>`` reaches; ``KeyError`` when none of that name runs in this process."""
    return _apps[name]


def connect(
    address: str, *, timeout: float = 10.0, total: float = 60.0, headers: Mapping[str, str] | None = None
) -> httpx.AsyncClient:
    """A client whose relative URLs go to ``address``; close it with ``async with``.

    Args:
        address: ``http://…``, ``https://…``, ``unix:/path.sock`` or ``asgi:<registered name>``.
        timeout: seconds for connecting, for a place in the pool, and for each read and write.
        total: seconds for a whole call, the body of its answer included; of a streamed answer, up to its headers.
        headers: sent with every call.

    Raises:
        ValueError: the address has another form.
    """
    transport, base = _route(address)
    return _Client(
        total=total,
        base_url=base,
        transport=transport,
        timeout=timeout,
        headers=dict(headers or {}),
        follow_redirects=False,
        trust_env=False,
        event_hooks={"request": [_add_trace]},
    )


class _Client(httpx.AsyncClient):
    """A client whose calls end: time limits between two reads let a slow answer go on for ever."""

    def __init__(self, *, total: float, **options: Any) -> None:
        super().__init__(**options)
        self.total = total

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx; raises ``ReadTimeout`` when the whole took too long."""
        try:
            async with asyncio.timeout(self.total):
                return await super().send(request, **options)
        except TimeoutError:
            raise httpx.ReadTimeout("the call took too long", request=request) from None


def _route(address: str) -> tuple[httpx.AsyncBaseTransport, str]:
    kind, _, rest = address.partition(":")
    if kind == "asgi" and rest:
        return _InProcess(rest), _INSIDE
    if kind == "unix" and rest.startswith("/"):
        return _over(lambda: aiohttp.UnixConnector(rest)), _INSIDE
    if kind in {"http", "https"} and rest.startswith("//"):
        return _over(lambda: aiohttp.TCPConnector(ssl=_trust())), address
    raise ValueError("an address is http://…, https://…, unix:/path or asgi:name")


def _over(connector: Callable[[], aiohttp.BaseConnector]) -> httpx.AsyncBaseTransport:
    """httpx on aiohttp's connections: a call costs 0.2 ms instead of 1.3 (measured, one core). No cookie is kept."""
    return AiohttpTransport(
        verify=_trust(),
        client=lambda: aiohttp.ClientSession(connector=connector(), cookie_jar=aiohttp.DummyCookieJar()),
    )


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # 20 ms to make, so once a process


async def _add_trace(request: httpx.Request) -> None:
    traceparent = telemetry.current_traceparent()
    if traceparent is not None:
        request.headers["traceparent"] = traceparent


# httpx imports it anew at every call in process; each failure walks the whole path: 2 % of a web process under load.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # None is how it says "not there"


class _InProcess(httpx.AsyncBaseTransport):
    """Calls a registered application; it gets a fresh scope, so that nothing of the caller's state leaks into it."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        app = _apps.get(self.name)
        if app is None:
            raise httpx.ConnectError(f"no application called {self.name} runs in this process", request=request)
        inner = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        return await inner.handle_async_request(request)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two reads, and for the whole call with its retries."""

    connect: float = 2.0
    read: float = 10.0
    total: float = 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call that may repeat is tried, and the waits between (seconds, exponential with jitter)."""

    attempts: int = 3
    first_wait: float = 0.1
    longest_wait: float = 2.0


class _Failed(Exception):
    """One try did not get an answer that counts."""

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__("no usable answer")
        self.retry_after = retry_after


class Credentials(Protocol):
    """With what this service says who it is."""

    async def headers(self) -> Mapping[str, str]:
        """The headers of a call."""

    def refused(self) -> None:
        """They were answered with 401: the next call must have others."""


class Outbound:
    """Calls to one outside system; made by :func:`outbound`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout: Timeouts,
        retry: Retry | None,
        breaker: Breaker | None,
        allowed_hosts: Collection[str],
        credentials: Credentials | None,
        answer_limit: int,
    ) -> None:
        self.name = name
        self.base_url = base_url
        self.timeout = timeout
        self.retry = retry
        self.breaker = breaker
        self.allowed_hosts = frozenset(allowed_hosts)
        self.answer_limit = answer_limit
        self._credentials = credentials
        self._client: httpx.AsyncClient | None = None
        self._detail = "関係するシステムが応答しません。しばらくしてからもう一度お試しください。"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Outbound"]:
        """Close the connections when the block ends; fits ``Service.resources``."""
        try:
            yield self
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def request(self, method: str, url: str, *, idempotent: bool | None = None, **options: Any) -> httpx.Response:
        """One call; any answer below 500 but 429 is given to the caller.

        Args:
            method: the HTTP method.
            url: a path, or a whole URL on one of ``allowed_hosts``.
            idempotent: whether a repeat does no harm; by default so for GET, HEAD, PUT, DELETE, OPTIONS. Only such
                calls are retried.
            options: what httpx's ``request`` takes, e.g. ``json``, ``content``, ``headers``, ``params``.

        Raises:
            DependencyUnavailable: no answer, an answer of 429 or 5xx, or the breaker holds calls back (503).
            ValueError: the URL names a host that is not configured.
        """
        self._check_host(url)
        may_repeat = method.upper() in IDEMPOTENT if idempotent is None else idempotent
        tries = self.retry.attempts if self.retry and may_repeat else 1
        began = time.perf_counter()
        outcome = "failed"
        try:
            async with asyncio.timeout(self.timeout.total):
                answer = await self._with_retries(tries, method, url, options)
            outcome = f"{answer.status_code // 100}xx"
            return answer
        except BreakerOpen as held:
            outcome = "held"
            raise DependencyUnavailable(self._detail, retry_after=int(held.retry_after) + 1) from None
        except _Failed as failed:
            raise DependencyUnavailable(self._detail, retry_after=failed.retry_after or 5) from None
        except TimeoutError:
            raise DependencyUnavailable(self._detail, retry_after=5) from None
        finally:
            telemetry.observe("outbound_duration", time.perf_counter() - began, system=self.name, outcome=outcome)
            if self.breaker is not None:
                telemetry.gauge("breaker_open", int(self.breaker.is_open), system=self.name)

    async def get(self, url: str, **options: Any) -> httpx.Response:
        """A GET by the rules of :meth:`request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:
        """A POST by the rules of :meth:`request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Any) -> httpx.Response:
        """A PUT by the rules of :meth:`request`."""
        return await self.request("PUT", url, **options)

    async def delete(self, url: str, **options: Any) -> httpx.Response:
        """A DELETE by the rules of :meth:`request`."""
        return await self.request("DELETE", url, **options)

    @asynccontextmanager
    async def stream(self, method: str, url: str, **options: Any) -> AsyncIterator[httpx.Response]:
        """An answer whose body is read in pieces; never retried.

        Raises:
            DependencyUnavailable: as :meth:`request`, also when the body breaks off.
        """
        self._check_host(url)
        try:
            async with asyncio.timeout(self.timeout.total):
                client = await self._open()
                request = client.build_request(method, url, **await self._with_credentials(options))
                answer = await client.send(request, stream=True)
            try:
                if self._refused(answer) or answer.status_code >= 500 or answer.status_code == 429:
                    raise _Failed(_retry_after(answer))
                yield answer
            finally:
                await answer.aclose()
        except _Failed as failed:
            raise DependencyUnavailable(self._detail, retry_after=failed.retry_after or 5) from None
        except (httpx.TransportError, TimeoutError):
            raise DependencyUnavailable(self._detail, retry_after=5) from None

    async def _with_retries(self, tries: int, method: str, url: str, options: Mapping[str, Any]) -> httpx.Response:
        retry = self.retry or Retry()
        attempts = stamina.retry_context(
            on=_Failed,
            attempts=tries,
            timeout=None,
            wait_initial=retry.first_wait,
            wait_max=retry.longest_wait,
            wait_jitter=retry.first_wait,
        )
        async for attempt in attempts:
            with attempt:
                if self.breaker is None:
                    return await self._try(method, url, options)
                async with self.breaker.call():
                    return await self._try(method, url, options)
        raise _Failed  # pragma: no cover - the last attempt raises what it met

    async def _try(self, method: str, url: str, options: Mapping[str, Any]) -> httpx.Response:
        client = await self._open()
        request = client.build_request(method, url, **await self._with_credentials(options))
        try:
            answer = await client.send(request, stream=True)
            try:
                body = await self._body(answer)
            finally:
                await answer.aclose()
        except httpx.TransportError:
            raise _Failed from None
        if self._refused(answer) or answer.status_code >= 500 or answer.status_code in TRANSIENT_STATUS:
            raise _Failed(_retry_after(answer))
        kept = [(k, v) for k, v in answer.headers.multi_items() if k not in {"content-encoding", "transfer-encoding"}]
        return httpx.Response(answer.status_code, headers=kept, content=body, request=request)

    async def _body(self, answer: httpx.Response) -> bytes:
        pieces, size = [], 0
        async for piece in answer.aiter_bytes():
            size += len(piece)
            if size > self.answer_limit:
                raise _Failed
            pieces.append(piece)
        return b"".join(pieces)

    async def _with_credentials(self, options: Mapping[str, Any]) -> dict[str, Any]:
        if self._credentials is None:
            return dict(options)
        return {**options, "headers": {**(await self._credentials.headers()), **(options.get("headers") or {})}}

    def _refused(self, answer: httpx.Response) -> bool:
        """Whether our credentials were: then they are told, and the next try has others."""
        if self._credentials is None or answer.status_code != httpx.codes.UNAUTHORIZED:
            return False
        self._credentials.refused()
        return True

    async def _open(self) -> httpx.AsyncClient:
        if self._client is None:  # made where it is used first: after the fork, in the running loop
            self._client = connect(self.base_url, total=self.timeout.total)
            self._client.timeout = httpx.Timeout(
                self.timeout.read, connect=self.timeout.connect, pool=self.timeout.connect
            )
        return self._client

    def _check_host(self, url: str) -> None:
        if url.startswith("/") and not url.startswith("//"):
            return
        target = httpx.URL(url)
        if target.scheme not in {"http", "https"} or target.netloc.decode() not in self.allowed_hosts:
            raise ValueError("the host is not configured")


def outbound(
    name: str,
    base_url: str,
    *,
    timeout: Timeouts | None = None,
    retry: Retry | None = None,
    breaker: Breaker | None = None,
    allowed_hosts: Collection[str] = (),
    credentials: Credentials | None = None,
    answer_limit: int = ANSWER_LIMIT,
) -> Outbound:
    """The client of one outside system; it connects at its first call.

    Args:
        name: the system's name in metrics.
        base_url: an address of :func:`connect`; paths are relative to it.
        timeout: time limits; by default 2 s to connect, 10 s a read, 30 s in all.
        retry: how calls that may repeat are repeated; None never repeats.
        breaker: shared by all calls through this client.
        allowed_hosts: further ``host[:port]`` that whole URLs may name; the base address needs no mention.
        credentials: with which each call is made, e.g. ``ServiceTokens``; an answer of 401 to them counts as none.
        answer_limit: longest answer in bytes, after decompression.
    """
    _route(base_url)
    return Outbound(
        name,
        base_url,
        timeout=timeout or Timeouts(),
        retry=retry,
        breaker=breaker,
        allowed_hosts=allowed_hosts,
        credentials=credentials,
        answer_limit=answer_limit,
    )


def _retry_after(answer: httpx.Response) -> int | None:
    value = answer.headers.get("retry-after", "")
    return min(int(value), 3600) if value.isascii() and value.isdigit() and len(value) < 9 else None
