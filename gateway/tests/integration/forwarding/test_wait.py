"""Who stops sending in the middle is told so, and holds nothing."""

import asyncio

import pytest

from town_gateway.forwarding import Forwarder, InProcess, OverHttp
from town_gateway.patience import in_time
from town_kit.asgi import Message, Receive, Scope, Send


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
        return pieces.pop() if pieces else await asyncio.Event().wait()

    async def send(message: Message) -> None:
        answers.append(message)

    await asyncio.wait_for(forward(scope(), in_time(receive, 0.05), send), 2)
    await forward.close()

    assert answers[0]["status"] == 408
    assert b"urn:town:problem:request-timeout" in answers[1]["body"]


async def test_after_the_body_one_may_wait_for_the_client_as_long_as_one_likes() -> None:
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    patient = in_time(receive, 0.05)

    assert (await patient())["type"] == "http.request"
    assert (await patient())["type"] == "http.disconnect"
