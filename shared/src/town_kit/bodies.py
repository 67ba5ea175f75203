"""Bodies that come slowly or not at all: a sender may be slow, but may not hold a slot or a connection for it.

A sender gets ten seconds, and one more for every 16 KiB that came; only the time somebody waited for it counts. Who
is answered before the whole body came is told that the connection ends, or it would stay open as long as the rest
trickles in.
"""

import asyncio

from town_kit.asgi import Header, Message, Receive, Scope, Send
from town_kit.problems import RequestTimeout

SECONDS = 10.0
BYTES_A_SECOND = 16 * 1024
_NONE = (b"", b"0")
_CLOSE: Header = (b"connection", b"close")


def has_body(scope: Scope) -> bool:
    """Whether the head announces a body."""
    return any(
        (name == b"content-length" and value not in _NONE) or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )


class Body:
    """The body of one request as it comes in, between the server and the application.

    Args:
        receive: the server's.
        send: the server's.
        seconds: how long it may be waited for, beside what its length allows.
        expects: the client waits for leave to send (``Expect: 100-continue``).
    """

    def __init__(self, receive: Receive, send: Send, *, seconds: float = SECONDS, expects: bool = False) -> None:
        self._receive, self._send = receive, send
        self._left = seconds
        self._expects = expects
        self._peeked: Message | None = None
        self._complete = False

    async def receive(self) -> Message:
        """The next piece; after the whole body, whatever else the server has to say.

        Raises:
            RequestTimeout: the sender used up its time.
        """
        if self._peeked is not None:
            message, self._peeked = self._peeked, None
            return message
        if self._complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left):
                message = await self._receive()
        except TimeoutError:
            self._left = 0.0
            raise RequestTimeout("通信の状態を確認して、もう一度送ってください。") from None
        self._left -= loop.time() - began
        self._note(message)
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; one that comes before the end of the body closes the connection."""
        if message["type"] == "http.response.start" and not self._complete and not await self._came():
            message["headers"] = [*message.get("headers", ()), _CLOSE]
        await self._send(message)

    async def _came(self) -> bool:
        """Whether the rest of the body is there already, without waiting for it."""
        if self._expects or self._peeked is not None:
            return False
        try:
            async with asyncio.timeout(0):
                message = await self._receive()
        except TimeoutError:
            return False
        self._peeked = message
        self._note(message)
        return self._complete

    def _note(self, message: Message) -> None:
        self._left += len(message.get("body", b"")) / BYTES_A_SECOND
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
