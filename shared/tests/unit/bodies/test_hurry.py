"""A sender's time is ten seconds and what its bytes allow; waiting for us does not count against it."""

import asyncio

import pytest

from town_kit.asgi import Message
from town_kit.bodies import BYTES_A_SECOND, Body, has_body
from town_kit.problems import RequestTimeout


class Sender:
    """Gives its pieces with a pause before each."""

    def __init__(self, *pieces: bytes, pause: float = 0.0, more: bool = False) -> None:
        self.pieces, self.pause, self.more = list(pieces), pause, more
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self.pieces:
            await asyncio.Event().wait()
        if self.pause:
            await asyncio.sleep(self.pause)
        body = self.pieces.pop(0)
        return {"type": "http.request", "body": body, "more_body": self.more or bool(self.pieces)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def read_all(body: Body) -> int:
    size = 0
    while True:
        message = await body.receive()
        size += len(message["body"])
        if not message["more_body"]:
            return size


async def test_a_byte_now_and_then_does_not_prolong_the_time() -> None:
    sender = Sender(*[b"x"] * 100, pause=0.02)
    with pytest.raises(RequestTimeout):
        await asyncio.wait_for(read_all(Body(sender.receive, sender.send, seconds=0.1)), 0.5)
    assert 2 <= 100 - len(sender.pieces) <= 6


async def test_a_long_body_that_keeps_coming_has_the_time_its_length_needs() -> None:
    piece = bytes(BYTES_A_SECOND // 10)  # allows 100 ms more each
    sender = Sender(*[piece] * 10, pause=0.03)
    assert await read_all(Body(sender.receive, sender.send, seconds=0.06)) == len(piece) * 10


async def test_our_own_slowness_does_not_count() -> None:
    sender = Sender(b"x", b"x", b"x")
    body = Body(sender.receive, sender.send, seconds=0.05)
    for _ in range(3):
        await asyncio.sleep(0.05)
        await body.receive()


@pytest.mark.parametrize(
    ("sender", "closes"),
    [
        (Sender(b"whole"), False),
        (Sender(b"half", more=True), True),
        (Sender(), True),
        (Sender(b"late", pause=0.01), True),
    ],
)
async def test_an_answer_before_the_end_of_the_body_ends_the_connection(sender: Sender, closes: bool) -> None:
    body = Body(sender.receive, sender.send)
    await body.send({"type": "http.response.start", "status": 401, "headers": [(b"a", b"b")]})
    assert ((b"connection", b"close") in sender.sent[0]["headers"]) is closes
    assert (b"a", b"b") in sender.sent[0]["headers"]


async def test_what_was_looked_at_early_is_still_read() -> None:
    sender = Sender(b"whole")
    body = Body(sender.receive, sender.send)
    await body.send({"type": "http.response.start", "status": 200, "headers": []})
    assert (await body.receive())["body"] == b"whole"


async def test_who_waits_for_leave_to_send_is_not_given_it_by_a_refusal() -> None:
    sender = Sender(b"whole")
    await Body(sender.receive, sender.send, expects=True).send({"type": "http.response.start", "status": 401})
    assert sender.pieces == [b"whole"]
    assert sender.sent[0]["headers"] == [(b"connection", b"close")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"1")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_head_says_whether_a_body_follows(headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    assert has_body({"headers": headers}) is expected
