"""Admission (流入制御): the first layer of a process. Who does not fit is told so at once instead of waiting.

A process that takes more requests than it can finish answers all of them late. So at most ``slots`` are in flight;
the last ``kept`` of them belong to the emergency lane, which must get through when everybody else is calling. And
nobody holds a slot by sending slowly (:mod:`town_kit.bodies`).
"""

from collections.abc import Callable

from town_kit import telemetry
from town_kit.asgi import App, Receive, Scope, Send, header, rendered
from town_kit.bodies import Body, has_body
from town_kit.problems import Overloaded

SLOTS = 64
KEPT = 8
RETRY_AFTER_SECONDS = 1
HEALTH = frozenset({"/livez", "/readyz"})


def nobody(scope: Scope) -> bool:  # noqa: ARG001 - the shape of a privilege
    """No request belongs to the emergency lane."""
    return False


class Admission:
    """Let ``slots`` requests per process in flight; refuse the next with 503 ``overloaded`` and ``Retry-After``.

    Args:
        app: what is called for an admitted request.
        slots: requests in flight, the emergency lane included.
        kept: slots of these that only the emergency lane may use.
        privileged: whether a request belongs to the emergency lane; asked only when the other slots are taken.
    """

    def __init__(
        self, app: App, *, slots: int = SLOTS, kept: int = KEPT, privileged: Callable[[Scope], bool] = nobody
    ) -> None:
        self.app = app
        self.slots = slots
        self.ordinary = slots - kept
        self.privileged = privileged
        self.in_flight = 0
        self._refusal = rendered(
            Overloaded("少し待ってから、もう一度送ってください。", retry_after=RETRY_AFTER_SECONDS)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit or refuse; health checks and anything but HTTP pass."""
        if scope["type"] != "http" or scope["path"] in HEALTH:
            await self.app(scope, receive, send)
            return
        if has_body(scope):
            body = Body(receive, send, expects=header(scope, b"expect") is not None)
            receive, send = body.receive, body.send
        if self.in_flight >= self.ordinary and not (self.in_flight < self.slots and self.privileged(scope)):
            telemetry.count("requests_refused", reason=Overloaded.slug)
            start, content = self._refusal  # made beforehand: refusing must cost next to nothing
            await send({"type": "http.response.start", **start})
            await send({"type": "http.response.body", "body": content})
            return
        self.in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= 1
