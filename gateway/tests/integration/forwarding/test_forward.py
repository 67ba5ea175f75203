"""A request passes through unchanged, in process and over HTTP, and nothing a client forges comes along."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from town_gateway import forwarding
from town_gateway.forwarding import Forwarder, InProcess, OverHttp, inner_scope, request_headers
from town_kit.asgi import Message, Receive, Scope, Send

HEADERS = [
    (b"host", b"town.example"),
    (b"authorization", b"Bearer abc"),
    (b"connection", b"close, X-Private"),
    (b"x-private", b"1"),
    (b"x-client-cert", b"forged"),
    (b"x-forwarded-for", b"203.0.113.9"),
    (b"x-forwarded-host", b"forged"),
    (b"forwarded", b"for=203.0.113.9"),
    (b"transfer-encoding", b"chunked"),
    (b"idempotency-key", b"12345678"),
]


class Echo:
    """A service that answers what it was asked and remembers the scope."""

    def __init__(self) -> None:
        self.scope: Scope = {}
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        self.scope, self.body, more = scope, b"", True
        while more:
            message = await receive()
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [(b"content-type", b"text/plain"), (b"x-first", b"1"), (b"x-first", b"2"), (b"keep-alive", b"5")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[len(self.body) // 2 :]})


def request_scope(
    method: str = "POST", raw_path: bytes = b"/echo/v1/%E7%94%B3/a%2Fb", query: bytes = b"q=%20a&q=b"
) -> Scope:
    outer: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/echo/v1/申/a/b",
        "raw_path": raw_path,
        "query_string": query,
        "client": ("192.0.2.1", 5),
        "server": ("127.0.0.1", 80),
        "headers": HEADERS,
        "state": {"principal": "the gateway's"},
    }
    return inner_scope(outer, "/v1/申/a/b", "/echo", request_headers(HEADERS, [(b"x-forwarded-for", b"192.0.2.1")]))


async def call(forward: Forwarder, scope: Scope, *chunks: bytes) -> list[Message]:
    answers: list[Message] = []
    waiting = list(chunks) or [b""]

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        answers.append(message)

    await forward(scope, receive, send)
    return answers


def body_of(answers: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in answers)


@pytest.fixture(params=["in process", "over HTTP", "over a Unix socket"])
async def way(request: pytest.FixtureRequest, tmp_path: Path, served: Any) -> AsyncIterator[tuple[Forwarder, Echo]]:
    echo = Echo()
    if request.param == "in process":
        yield InProcess(echo), echo
        return
    async with served(echo, path=str(tmp_path / "s") if "Unix" in request.param else None) as address:
        forward = OverHttp(address)
        yield forward, echo
        await forward.close()


async def test_the_service_sees_path_query_and_body_as_the_client_sent_them(way: tuple[Forwarder, Echo]) -> None:
    forward, echo = way

    answers = await call(forward, request_scope(), b"x" * 70_000, b"y" * 70_000)

    assert echo.scope["raw_path"] == b"/v1/%E7%94%B3/a%2Fb"
    assert echo.scope["path"] == "/v1/申/a/b"
    assert echo.scope["query_string"] == b"q=%20a&q=b"
    assert echo.body == b"x" * 70_000 + b"y" * 70_000
    assert body_of(answers) == echo.body
    assert answers[0]["status"] == 201
    assert [value for name, value in answers[0]["headers"] if name == b"x-first"] == [b"1", b"2"]


@pytest.mark.case("D-11")
async def test_headers_only_the_gateway_may_set_are_dropped_and_set_anew(way: tuple[Forwarder, Echo]) -> None:
    forward, echo = way

    await call(forward, request_scope())

    seen = dict(echo.scope["headers"])
    assert seen[b"x-forwarded-for"] == b"192.0.2.1"
    assert seen[b"authorization"] == b"Bearer abc"
    assert seen[b"idempotency-key"] == b"12345678"
    assert not {b"x-client-cert", b"forwarded", b"x-forwarded-host", b"x-private"} & seen.keys()


async def test_the_gateways_own_state_does_not_reach_a_service_in_process() -> None:
    echo = Echo()

    await call(InProcess(echo), request_scope())

    assert "principal" not in echo.scope.get("state", {})


async def test_an_exception_of_a_service_in_process_becomes_a_problem() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret")

    answers = await call(InProcess(broken), request_scope())

    assert answers[0]["status"] == 500
    assert b"secret" not in body_of(answers)


async def test_a_service_that_is_away_is_a_503_that_says_when_to_come_again() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        forward = OverHttp(f"http://127.0.0.1:{closed.getsockname()[1]}")

        answers = await call(forward, request_scope())
        await forward.close()

    headers = dict(answers[0]["headers"])
    assert answers[0]["status"] == 503
    assert b"dependency-unavailable" in body_of(answers)
    assert int(headers[b"retry-after"]) > 0


async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    forward = OverHttp(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    with pytest.raises(Exception, match="payload"):
        await call(forward, request_scope("GET"))
    await forward.close()
    server.close()


async def test_a_redirect_and_a_compressed_body_pass_untouched(served: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"location", b"/v1/x"), (b"content-encoding", b"gzip"), (b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b"\x1f\x8b\x00\x00"})

    async with served(app) as address:
        forward = OverHttp(address)
        answers = await call(forward, request_scope("GET"))
        await forward.close()

    assert answers[0]["status"] == 303
    assert body_of(answers) == b"\x1f\x8b\x00\x00"
    assert httpx.Headers(answers[0]["headers"])["content-encoding"] == "gzip"


@pytest.mark.parametrize("bound", ["POOL_SECONDS", "TOTAL_SECONDS"])
async def test_neither_a_place_among_the_sockets_nor_a_whole_request_is_waited_for_for_ever(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.02)

    monkeypatch.setattr(forwarding, bound, 0.3)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    forward = OverHttp(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections=1)
    first = asyncio.create_task(call(forward, request_scope("GET")))
    async with asyncio.timeout(5):
        if bound == "TOTAL_SECONDS":
            with pytest.raises(TimeoutError):
                await first
        else:
            await asyncio.sleep(0.1)
            answers = await call(forward, request_scope("GET"))
            assert answers[0]["status"] == 503
            assert b"dependency-unavailable" in body_of(answers)
            first.cancel()
    await forward.close()
    server.close()
