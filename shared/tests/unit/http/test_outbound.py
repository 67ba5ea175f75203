"""Calls to other systems, against a real server on loopback."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from town_kit import http, telemetry
from town_kit.breaker import Breaker, BreakerOpen
from town_kit.http import Retry, Timeouts, connect, outbound
from town_kit.problems import DependencyUnavailable

QUICK = Retry(attempts=3, first_wait=0.001, longest_wait=0.002)


class Far:
    """A system outside that answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, httpx.Headers]] = []
        self.answers: list[Any] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, httpx.Headers(list(request.headers.items()))))
        planned = self.answers.pop(0) if self.answers else 200
        if planned == "hang":
            await asyncio.sleep(30)
        if planned == "cut":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(planned, web.StreamResponse):
            return planned
        return web.Response(status=planned, text="ok", headers={"Retry-After": "7"} if planned == 429 else {})


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    made = Far()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_a_call_carries_the_trace(far: Far) -> None:
    async with outbound("far", far.url).running() as client:
        with telemetry.span("work"):
            traceparent = telemetry.current_traceparent()
            assert (await client.get("/a")).text == "ok"
    assert far.asked[0][2]["traceparent"] == traceparent


async def test_a_call_that_may_repeat_is_repeated(far: Far) -> None:
    far.answers = [503, "cut", 200]
    async with outbound("far", far.url, retry=QUICK).running() as client:
        assert (await client.get("/a")).status_code == 200
    assert len(far.asked) == 3


async def test_a_call_that_must_not_repeat_is_sent_once(far: Far) -> None:
    far.answers = [503, 200]
    async with outbound("far", far.url, retry=QUICK).running() as client:
        with pytest.raises(DependencyUnavailable):
            await client.post("/a", json={})
        assert len(far.asked) == 1
        far.answers = [503, 200]
        assert (await client.post("/a", json={}, idempotent=True)).status_code == 200


async def test_an_answer_below_500_is_the_callers(far: Far) -> None:
    far.answers = [404, 302]
    async with outbound("far", far.url, retry=QUICK).running() as client:
        assert (await client.get("/a")).status_code == 404
        assert (await client.get("/a")).status_code == 302
    assert len(far.asked) == 2


async def test_what_does_not_answer_is_503_with_retry_after(far: Far) -> None:
    far.answers = [429, "hang"]
    async with outbound("far", far.url, timeout=Timeouts(read=0.05, total=5)).running() as client:
        with pytest.raises(DependencyUnavailable) as busy:
            await client.get("/a")
        assert busy.value.headers["Retry-After"] == "7"
        with pytest.raises(DependencyUnavailable) as silent:
            await client.get("/a")
        assert int(silent.value.headers["Retry-After"]) > 0
    async with outbound("nobody", "http://127.0.0.1:9").running() as client:
        with pytest.raises(DependencyUnavailable):
            await client.get("/a")


async def test_the_whole_call_has_a_limit(far: Far) -> None:
    far.answers = ["hang"]
    async with outbound("far", far.url, timeout=Timeouts(total=0.05)).running() as client:
        with pytest.raises(DependencyUnavailable):
            await client.get("/a")


async def test_an_answer_longer_than_the_limit_is_not_read(far: Far) -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    far.answers = [web.Response(body=bomb, headers={"Content-Encoding": "gzip"})]
    async with outbound("far", far.url, answer_limit=100_000).running() as client:
        with pytest.raises(DependencyUnavailable):
            await client.get("/a")


async def test_no_proxy_is_read_from_the_environment(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with outbound("far", far.url).running() as client:
        assert (await client.get("/a")).status_code == 200


@pytest.mark.parametrize("url", ["http://evil.example/", "//evil.example/x", "file:///etc/passwd", "evil"])
async def test_a_host_that_is_not_configured_is_refused(far: Far, url: str) -> None:
    async with outbound("far", far.url).running() as client:
        with pytest.raises(ValueError, match="host"):
            await client.get(url)
    assert far.asked == []


async def test_a_configured_host_may_be_named(far: Far) -> None:
    async with outbound("far", "http://127.0.0.1:9", allowed_hosts=[far.url.removeprefix("http://")]).running() as c:
        assert (await c.get(f"{far.url}/b")).status_code == 200


class Numbered:
    """Credentials that are others at each call."""

    def __init__(self) -> None:
        self.calls = self.times_refused = 0

    async def headers(self) -> dict[str, str]:
        self.calls += 1
        return {"Authorization": f"Bearer {self.calls}"}

    def refused(self) -> None:
        self.times_refused += 1


async def test_credentials_are_asked_for_at_each_call(far: Far) -> None:
    async with outbound("far", far.url, credentials=Numbered()).running() as client:
        await client.get("/a", headers={"X": "y"})
        await client.get("/a")
    assert [headers["Authorization"] for _, _, headers in far.asked] == ["Bearer 1", "Bearer 2"]
    assert far.asked[0][2]["X"] == "y"


async def test_credentials_that_were_refused_are_asked_for_anew(far: Far) -> None:
    far.answers = [401, 200, 401, 401]
    own = Numbered()
    async with outbound("far", far.url, retry=Retry(attempts=2, first_wait=0.01), credentials=own).running() as client:
        assert (await client.get("/a")).status_code == 200
        with pytest.raises(DependencyUnavailable):
            await client.post("/a")
        with pytest.raises(DependencyUnavailable):
            async with client.stream("GET", "/a"):
                pytest.fail("a refusal of our own credentials was given to the caller")
    assert len(far.asked) == 4
    assert own.times_refused == 3


async def test_a_stream_is_read_in_pieces(far: Far) -> None:
    far.answers = [web.Response(body=b"x" * 100_000), 503]
    async with outbound("far", far.url).running() as client:
        async with client.stream("GET", "/a") as answer:
            assert sum([len(piece) async for piece in answer.aiter_bytes()]) == 100_000
        with pytest.raises(DependencyUnavailable):
            async with client.stream("GET", "/a"):
                pytest.fail("a failure was given to the caller")


async def test_a_breaker_holds_back_and_lets_one_try() -> None:
    now = 0.0
    breaker = Breaker(failures=2, pause=10, clock=lambda: now)

    async def call(*, fails: bool) -> None:
        async with breaker.call():
            if fails:
                raise OSError

    for _ in range(2):
        with pytest.raises(OSError, match=r"^$"):
            await call(fails=True)
    with pytest.raises(BreakerOpen) as held:
        await call(fails=False)
    assert held.value.retry_after == 10
    now = 10.0
    async with breaker.call():
        with pytest.raises(BreakerOpen):
            await call(fails=False)
    await call(fails=False)
    assert not breaker.is_open


async def test_a_try_that_fails_closes_the_door_again() -> None:
    now = 0.0
    breaker = Breaker(failures=1, pause=10, clock=lambda: now)
    for moment in (0.0, 10.0):
        now = moment
        with pytest.raises(OSError, match=r"^$"):
            async with breaker.call():
                raise OSError
        assert breaker.is_open
    now = 20.0
    with pytest.raises(asyncio.CancelledError):
        async with breaker.call():
            raise asyncio.CancelledError
    async with breaker.call():
        pass
    assert not breaker.is_open


async def test_a_breaker_answers_at_once_when_the_system_is_down(far: Far) -> None:
    far.answers = [503] * 10
    async with outbound("far", far.url, breaker=Breaker(failures=2, pause=60)).running() as client:
        for _ in range(5):
            with pytest.raises(DependencyUnavailable):
                await client.get("/a")
    assert len(far.asked) == 2


async def test_an_application_in_this_process_is_called_with_a_scope_of_its_own() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        if scope["path"] == "/fails":
            raise RuntimeError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    http.register_app("test-inside", app)
    async with connect("asgi:test-inside") as client:
        assert (await client.get("/x", params={"a": "1"})).text == "inside"
        assert (await client.get("/fails")).status_code == 500
    assert seen[0]["path"] == "/x"
    assert "state" not in seen[0]
    async with outbound("nobody", "asgi:not-there").running() as nobody:
        with pytest.raises(DependencyUnavailable):
            await nobody.get("/x")


async def test_a_socket_file_is_an_address(tmp_path: Path) -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/x", hello)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s.sock")).start()
    async with connect(f"unix:{tmp_path}/s.sock") as client:
        assert (await client.get("/x")).text == "hello"
    await runner.cleanup()


@pytest.mark.parametrize("address", ["", "ftp://x", "asgi:", "unix:relative", "http:x"])
def test_another_form_of_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        connect(address)


async def test_an_answer_that_never_ends_ends_with_the_time_of_the_whole_call() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    began = asyncio.get_running_loop().time()
    async with connect(address, timeout=5, total=0.3) as client:
        with pytest.raises(httpx.TimeoutException):
            await client.get("/")
    assert asyncio.get_running_loop().time() - began < 3
    server.close()
