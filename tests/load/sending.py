"""How the loads are sent: prepared bytes over kept connections, so that the generator takes little of the machine.

A general HTTP client costs as much CPU as the service it measures, and both stand on the same cores here.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
TICK_SECONDS = 0.004
AT_MOST = 2_000


class Cut(Exception):
    """The connection ended before the whole answer was there; whether the other side has done it is unknown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; ``head`` is its status line and headers."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        found = re.search(rb"\r\n" + re.escape(name.encode()) + rb": *([^\r\n]*)", self.head, re.IGNORECASE)
        return found[1].decode("latin-1") if found else None


def request(
    method: str, path: str, token: str, body: bytes = b"", *, media_type: str = "application/json", **headers: str
) -> bytes:
    """A whole HTTP/1.1 request; the underscores of further headers' names become hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "Host: town", f"Authorization: Bearer {token}"]
    if body or method != "GET":
        lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection(asyncio.Protocol):
    """One connection with one request in flight."""

    def __init__(self) -> None:
        self.open = self.used = False
        self._transport: Any = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._received = bytearray()
        self._body_at = self._length = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport, self.open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits learns that no answer comes."""
        self.open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Cut())

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        self._received += data
        if self._body_at < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            self._body_at = end + 4
            length = _LENGTH.search(self._received, 0, end + 2)
            self._length = int(length[1]) if length else 0
        if len(self._received) < self._body_at + self._length:
            return
        raw, at = bytes(self._received), self._body_at
        self._received.clear()
        self._body_at = self._length = -1
        self.used = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Answer(int(raw[9:12]), raw[:at], raw[at:]))

    async def ask(self, content: bytes) -> Answer:
        """Send a request and wait for its answer."""
        if not self.open:
            raise Cut
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(content)
        return await self._waiting

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


class Sender:
    """Connections to one address, each used in its turn; a new one is opened when all are busy.

    In turn, because a process that refuses is quick: whoever takes the connection used last would go on asking it.

    Args:
        url: where they lead.
        connections: opened at once at the first request, so that they are spread over the processes that listen.
    """

    def __init__(self, url: str, *, connections: int = 0) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._wanted = connections
        self._idle: deque[_Connection] = deque()
        self._all: list[_Connection] = []

    async def send(self, content: bytes) -> Answer:
        """The answer to a request; on a kept connection that the other side has just closed it is sent once more.

        Every request here may be repeated: it reads, or it carries a key.

        Raises:
            Cut: no answer came.
        """
        connection = await self._connection()
        try:
            answer = await connection.ask(content)
        except Cut:
            if not connection.used:
                raise
            connection = await self._open()
            answer = await connection.ask(content)
        self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        wanted, self._wanted = self._wanted, 0
        self._idle.extend([await self._open() for _ in range(wanted)])
        while self._idle:
            connection = self._idle.popleft()
            if connection.open:
                return connection
        return await self._open()

    async def _open(self) -> _Connection:
        try:
            _, made = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        except OSError:
            raise Cut from None
        self._all.append(made)
        return made

    def close(self) -> None:
        """Close every connection."""
        for connection in self._all:
            connection.close()


async def closed_loop(at_once: int, seconds: float, call: Callable[[], Awaitable[bool]]) -> float:
    """Calls a second that succeeded, with ``at_once`` callers who each ask again at once."""
    clock = time.monotonic
    until = clock() + seconds
    done = 0

    async def caller() -> None:
        nonlocal done
        while clock() < until:
            good = await call()
            done += good and clock() <= until

    await asyncio.gather(*(caller() for _ in range(at_once)))
    return done / seconds


async def open_loop(
    rate: float, seconds: float, call: Callable[[float], Coroutine[Any, Any, None]], at_most: int = AT_MOST
) -> None:
    """Begin ``rate`` calls a second whatever becomes of them, each told the moment it was due (monotonic, seconds).

    Who measures from that moment leaves nothing out when the generator or the server is late.
    """
    running: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    for number in range(round(rate * seconds)):
        due = began + number / rate
        early = due - time.monotonic()
        if early > 0:
            await asyncio.sleep(max(early, TICK_SECONDS))
        if len(running) >= at_most:
            raise RuntimeError(f"{at_most} calls wait for an answer: nothing is shed")
        task = asyncio.create_task(call(due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
