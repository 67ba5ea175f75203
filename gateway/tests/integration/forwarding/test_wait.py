"""Who stops sending in the middle is told so, whichever way the request goes."""

import asyncio

import pytest

from town_gateway.forwarding import Forwarder, InProcess, OverHttp
from town_kit.asgi import Message, Receive, Scope, Send
from town_kit.bodies import Body


async def reads_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


def scope() -> Scope:
    headers = [(b"content-length", b"10")]
    return {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}


@pytest.mark.parametrize("forward", [InProcess(reads_all), OverHttp("http://127.0.0.1:9")], ids=["inside", "HTTP"])
async def test_a_body_that_stops_coming_ends_in_a_408(forward: Forwarder) -> None:
    pieces, answers = [{"type": "http.request", "body": b"half", "more_body": True}], []

    async def receive() -> Message:
        return pieces.pop() if pieces else await asyncio.Event().wait()  # type: ignore[return-value]  # it never ends

    async def send(message: Message) -> None:
        answers.append(message)

    body = Body(receive, send, seconds=0.05)
    await asyncio.wait_for(forward(scope(), body.receive, body.send), 2)
    await forward.close()

    assert answers[0]["status"] == 408
    assert (b"connection", b"close") in answers[0]["headers"]
    assert b"urn:town:problem:request-timeout" in answers[1]["body"]
