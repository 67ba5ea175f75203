"""Passing a request on: in this process (a direct ASGI call) or over HTTP. Bytes go through; nothing is parsed.

Both ways give the service the same request: the path without the prefix, headers cleaned by :func:`request_headers`,
and nothing of the gateway's own state. So a service cannot tell where the gateway runs.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import structlog
from yarl import URL

from town_kit.asgi import App, Header, Receive, Scope, Send, header, send_problem
from town_kit.problems import DependencyUnavailable, InternalError, Problem

log = structlog.get_logger(__name__)

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# What only the gateway may say to a service. A client that sends these is not believed.
OURS = frozenset({b"forwarded", b"x-client-cert", b"x-real-ip", b"x-request-id", b"traceparent", b"tracestate"})
_DROPPED = HOP_BY_HOP | OURS
_SCOPE_KEYS = ("type", "asgi", "http_version", "method", "scheme", "query_string", "client", "server", "extensions")

CONNECT_SECONDS = 2.0
POOL_SECONDS = 5.0  # for a free socket, connecting included
ANSWER_SECONDS = 30.0  # between two reads
TOTAL_SECONDS = 600.0  # a whole request: the largest attachment over a slow line takes minutes
RETRY_AFTER_SECONDS = 2
BUFFERED_BYTES = 65_536
BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Forwarder(Protocol):
    """Something that takes a cleaned request to one service."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the request on and relay the answer."""
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...


def request_headers(headers: Iterable[Header], ours: Iterable[Header]) -> list[Header]:
    """The headers a service gets: the client's, without hop-by-hop ones and those only we may set, and then ours.

    A header named by ``Connection`` is hop-by-hop too (RFC 9110 §7.6.1).
    """
    dropped = _DROPPED
    kept = []
    for pair in headers:
        name = pair[0]
        if name == b"connection" and pair[1].lower() not in (b"keep-alive", b"close"):
            dropped = dropped | {part.strip() for part in pair[1].lower().split(b",")}
        if name not in _DROPPED and not name.startswith(b"x-forwarded-"):
            kept.append(pair)
    if dropped is not _DROPPED:
        kept = [pair for pair in kept if pair[0] not in dropped]
    kept.extend(ours)
    return kept


def inner_scope(scope: Scope, path: str, prefix: str, headers: list[Header]) -> Scope:
    """The request as the service sees it: a fresh scope of listed keys.

    A copy would leak the gateway's ``state`` and path parameters into the service.
    """
    inner = {key: scope[key] for key in _SCOPE_KEYS if key in scope}
    inner["path"] = path
    inner["raw_path"] = _raw_path(scope, prefix)
    inner["root_path"] = ""
    inner["headers"] = headers
    return inner


def _raw_path(scope: Scope, prefix: str) -> bytes:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw[len(prefix) :]


class InProcess:
    """Calls an application of this process; no socket, no copy of the body."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application; an exception that escapes it is logged, and answered if nothing was yet."""
        started = False

        async def watched(message: dict[str, object]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)  # type: ignore[arg-type]  # ASGI's loose types
        except Problem as refusal:
            if started:
                raise
            await send_problem(send, refusal)
        except Exception:
            log.exception("service_failed", path=scope["path"])
            if not started:
                await send_problem(send, InternalError())

    async def close(self) -> None:
        """Nothing is held."""


class OverHttp:
    """Sends a request over HTTP with aiohttp and streams both bodies.

    Args:
        address: ``http://host:port`` or ``unix:/path/of/socket``.
        connections: sockets kept to the service.
    """

    def __init__(self, address: str, *, connections: int = 100) -> None:
        self.address = address
        self.connections = connections
        self._session: aiohttp.ClientSession | None = None
        if address.startswith("unix:"):
            self._base = URL("http://service")
        else:
            parts = urlsplit(address)
            self._base = URL.build(scheme=parts.scheme, host=parts.hostname or "", port=parts.port)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(path=self.address.removeprefix("unix:"), limit=self.connections)
                if self.address.startswith("unix:")
                else aiohttp.TCPConnector(limit=self.connections, ttl_dns_cache=10, keepalive_timeout=4)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_AUTO_HEADERS,
                timeout=aiohttp.ClientTimeout(
                    total=TOTAL_SECONDS,
                    connect=POOL_SECONDS,
                    sock_connect=CONNECT_SECONDS,
                    sock_read=ANSWER_SECONDS,
                ),
            )
        return self._session

    async def close(self) -> None:
        """Close the sockets."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send and relay; 503 with ``Retry-After`` when the service does not answer."""
        raw = scope["raw_path"].decode("ascii")
        query = scope["query_string"].decode("ascii")
        url = URL.build(
            scheme=self._base.scheme,
            host=self._base.host or "",
            port=self._base.port,
            path=raw,
            query_string=query,
            encoded=True,
        )
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        started = False
        try:
            body = await _body(scope, receive)
            async with self._request(scope, url, headers, body) as answer:
                started = True
                await _relay(answer, send)
        except Problem as refusal:
            if started:
                raise
            await send_problem(send, refusal)
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            log.warning("service_away", address=self.address, reason=type(failure).__name__)
            if started:
                raise
            await send_problem(
                send,
                DependencyUnavailable("少し待ってから、もう一度送ってください。", retry_after=RETRY_AFTER_SECONDS),
            )

    def _request(
        self, scope: Scope, url: URL, headers: list[tuple[str, str]], body: bytes | AsyncIterator[bytes] | None
    ) -> "aiohttp.client._RequestContextManager":
        return self._open().request(
            scope["method"], url, headers=headers, data=body, allow_redirects=False, expect100=False
        )


async def _body(scope: Scope, receive: Receive) -> bytes | AsyncIterator[bytes] | None:
    """The request's body: None, a small one in memory, or a stream that is never held as a whole."""
    length = header(scope, b"content-length")
    if length is None and scope["method"] in BODILESS:
        return None
    if length is not None and int(length) <= BUFFERED_BYTES:
        return b"".join([chunk async for chunk in _chunks(receive)])
    return _chunks(receive)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise aiohttp.ClientConnectionError("the client went away")
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def _relay(answer: aiohttp.ClientResponse, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() not in HOP_BY_HOP]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.content.iter_any():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
