"""Admission (流入制御): the first layer of a process. Who does not fit is told so at once instead of waiting.

A process that takes more requests than it can finish answers all of them late. So at most ``slots`` are in flight;
the last ``kept`` of them belong to the emergency lane, which must get through when everybody else is calling. And
nobody holds a slot by sending slowly (:mod:`town_kit.bodies`).

Who is refused is given a place in a line (``Retry-After``), one after another as fast as the process finishes what it
has. Told the same second, all would come again together, and refusing them would become the process's main work.
"""

import math
import time
from collections.abc import Callable

from town_kit import telemetry
from town_kit.asgi import App, Receive, Scope, Send, header, rendered
from town_kit.bodies import Body, has_body
from town_kit.problems import Overloaded

SLOTS = 64
KEPT = 8
FIRST_SECONDS = 1  # the shortest Retry-After
LONGEST_SECONDS = 15  # and the longest
HEALTH = frozenset({"/livez", "/readyz"})


def nobody(scope: Scope) -> bool:  # noqa: ARG001 - the shape of a privilege
    """No request belongs to the emergency lane."""
    return False


class Line:
    """When those who were refused shall come again.

    Args:
        least: requests a second the process finishes at the least, while nothing is known of it yet.
        clock: seconds that only go forward.
    """

    def __init__(self, least: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._least = self._pace = max(least, 1.0)
        self._since = clock()
        self._finished = 0
        self._taken_until = 0.0

    def finished(self) -> None:
        """Count a request that has its answer."""
        self._finished += 1

    def place(self) -> int:
        """The next place in the line, as whole seconds from now."""
        now = self._clock()
        passed = now - self._since
        if passed >= 1:
            self._pace = max(self._finished / passed, self._least)
            self._since, self._finished = now, 0
        self._taken_until = max(self._taken_until, now) + 1 / self._pace
        self._taken_until = min(self._taken_until, now + LONGEST_SECONDS)
        return max(FIRST_SECONDS, math.ceil(round(self._taken_until - now, 6)))


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
        self._line = Line(self.ordinary)
        self._refusals = [  # made beforehand: refusing must cost next to nothing
            rendered(Overloaded("少し待ってから、もう一度送ってください。", retry_after=seconds))
            for seconds in range(LONGEST_SECONDS + 1)
        ]

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
            start, content = self._refusals[self._line.place()]
            await send({"type": "http.response.start", **start})
            await send({"type": "http.response.body", "body": content})
            return
        self.in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= 1
            self._line.finished()
