"""Bodies that do not come: a sender may be slow, but may not hold a slot without sending."""

import asyncio

from town_kit.asgi import Message, Receive
from town_kit.problems import RequestTimeout


def in_time(receive: Receive, seconds: float) -> Receive:
    """The same ``receive``, which waits ``seconds`` for each piece of the body and as long as it likes afterwards.

    Raises:
        RequestTimeout: from the call of ``receive`` that waited in vain.
    """
    complete = False

    async def next_message() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout("通信の状態を確認して、もう一度送ってください。") from None
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return next_message
