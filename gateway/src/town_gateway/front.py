"""The path of one request through the gateway: trace, route, token, limit, forward. Nothing else is done per request.

Pure ASGI: what stands between a client and a service is a few dictionary look-ups, one look into the cache of verified
tokens, and one list of headers. Every service checks the token again; the gateway's check keeps noise outside.
"""

import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence

from town_gateway.forwarding import Forwarder, inner_scope, request_headers
from town_gateway.rate_limit import RateLimiter, Verdict
from town_gateway.routes import Match, RouteTable
from town_kit import telemetry
from town_kit.asgi import App, Header, Message, Receive, Scope, Send, header, send_problem
from town_kit.auth import Principal, TokenVerifier
from town_kit.jp import contains_my_number
from town_kit.problems import DependencyUnavailable, InvalidToken, NotFound, Problem, RateLimited

_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_BEARER = {"WWW-Authenticate": "Bearer"}
EMERGENCY_SCOPE = "emergency-messages:send"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Front:
    """The gateway as an ASGI application.

    Args:
        own: what the gateway itself answers: pages, app APIs, webhooks, health.
        table: which prefix leads to which service.
        forwarders: service name → the way to it.
        verifier: checks access tokens.
        limiter: counts requests per caller.
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed.
    """

    def __init__(
        self,
        *,
        own: App,
        table: RouteTable,
        forwarders: Mapping[str, Forwarder],
        verifier: TokenVerifier,
        limiter: RateLimiter,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self.own = own
        self.table = table
        self.forwarders = forwarders
        self.verifier = verifier
        self.limiter = limiter
        self.trusted_proxies = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or forward one request."""
        if scope["type"] != "http":
            await self.own(scope, receive, send)
            return
        request_id, traceparent = _identify(scope)
        answer: list[Header] = [(b"x-request-id", request_id), _NOSNIFF]
        try:
            match = self.table.match(scope["path"])
            client = self._client(scope)
            policy, caller, refused = await self._caller(scope, match, client)
            verdict = await self.limiter.take(policy, caller)
            answer.extend(verdict.headers())
            if not verdict.allowed:
                raise _rate_limited(verdict)
            if refused is not None:
                raise refused
        except Problem as refusal:
            telemetry.count("requests_refused", reason=refusal.slug)
            await send_problem(send, refusal, trace_id=traceparent[3:35].decode(), headers=answer)
            return
        ours = [(b"x-request-id", request_id), (b"traceparent", traceparent), *_forwarded(scope, client)]
        headers = request_headers(scope["headers"], ours)
        if match is None:
            scope["headers"] = headers
            await self.own(scope, receive, _with_headers(send, answer, b""))
            return
        prefix = match.route.prefix
        inner = inner_scope(scope, match.path, prefix, headers)
        await self.forwarders[match.route.service](inner, receive, _with_headers(send, answer, prefix.encode()))

    def privileged(self, scope: Scope) -> bool:
        """Whether a request belongs to the emergency lane: the route, and a token that carries the scope."""
        match = self.table.match(scope["path"])
        if match is None or not match.route.is_emergency(scope["method"], match.path):
            return False
        principal = self.verifier.verify_now(_bearer(scope) or "")
        return principal is not None and principal.may(EMERGENCY_SCOPE)

    async def _caller(self, scope: Scope, match: Match | None, client: str) -> tuple[str, str, Problem | None]:
        """The limit that applies, who is counted, and why the request goes no further; who is refused counts too."""
        if match is None:
            return *await self._known_caller(scope, client), None
        route, path, method = match.route, match.path, scope["method"]
        if not route.reachable(path):
            return "anonymous", client, NotFound()
        if route.is_sign_in(method, path):
            return "sign-in", client, None
        try:
            return *_counted(await self._principal(scope)), None
        except InvalidToken as refusal:
            return "anonymous", client, None if route.is_public(method, path) else refusal

    async def _principal(self, scope: Scope) -> Principal:
        token = _bearer(scope)
        if token is None:
            raise InvalidToken("アクセストークンを付けて送ってください。", headers=_BEARER)
        return await self.verifier.verify(token)

    async def _known_caller(self, scope: Scope, client: str) -> tuple[str, str]:
        """Who is counted on a path of the gateway itself, whose routes check the token on their own."""
        try:
            return _counted(await self._principal(scope))
        except (InvalidToken, DependencyUnavailable):
            return "anonymous", client

    def _client(self, scope: Scope) -> str:
        """The address of the caller; behind a trusted proxy, the one that proxy names last."""
        peer: str = scope["client"][0] if scope.get("client") else "local"
        if not self.trusted_proxies:
            return peer
        named = header(scope, b"x-forwarded-for")
        if named is None or not self._trusted(peer):
            return peer
        for hop in reversed(named.decode("latin-1").split(",")):
            if not self._trusted(hop.strip()):
                return hop.strip()
        return peer

    def _trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted_proxies)


def _identify(scope: Scope) -> tuple[bytes, bytes]:
    """The request's id and trace: the client's when well formed, else new (W3C Trace Context).

    An id in which a My Number could stand is replaced too: it goes back in the answer and on into logs.
    """
    request_id = header(scope, b"x-request-id")
    traceparent = header(scope, b"traceparent")
    if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
        fresh = secrets.token_hex(24).encode()
        traceparent = b"00-" + fresh[:32] + b"-" + fresh[32:] + b"-01"
    if request_id is None or not _REQUEST_ID.fullmatch(request_id) or contains_my_number(request_id.decode()):
        request_id = traceparent[3:35]
    return request_id, traceparent


def _counted(principal: Principal) -> tuple[str, str]:
    return principal.role.value, f"{principal.client_id}\n{principal.id}"


def _bearer(scope: Scope) -> str | None:
    value = header(scope, b"authorization")
    if value is None or value[:7].lower() != b"bearer ":
        return None
    return value[7:].decode("latin-1")


def _forwarded(scope: Scope, client: str) -> tuple[Header, ...]:
    """Who called, as only the gateway may say it (RFC 7239 and its older forms)."""
    host = header(scope, b"host") or b""
    scheme = scope["scheme"].encode()
    address = client.encode("latin-1", "replace")
    quoted = b'"[' + address + b']"' if b":" in address else address
    return (
        (b"forwarded", b"for=" + quoted + b";proto=" + scheme + b';host="' + host.replace(b'"', b"") + b'"'),
        (b"x-forwarded-for", address),
        (b"x-forwarded-proto", scheme),
    )


def _rate_limited(verdict: Verdict) -> RateLimited:
    return RateLimited("時間をおいて、もう一度送ってください。", retry_after=max(1, verdict.reset))


def _with_headers(send: Send, extra: list[Header], prefix: bytes) -> Send:
    """Add the gateway's headers to an answer, and its prefix to a ``Location`` within the service."""

    async def relay(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
            if prefix:
                headers = [
                    (name, prefix + value) if name == b"location" and value.startswith(b"/") else (name, value)
                    for name, value in headers
                ]
            message["headers"] = headers + extra
        await send(message)

    return relay
