"""Admission (流入制御): the first layer of a process. Who does not fit is told so at once instead of waiting.

A process that takes more requests than it can finish answers all of them late. So at most ``slots`` are in flight;
the last ``kept`` of them belong to the emergency lane, which must get through when everybody else is calling. And
nobody holds a slot by sending slowly (:mod:`town_kit.bodies`).

Who is refused is given a place in a line (``Retry-After``), one after another as fast as the process finishes what it
has. Told the same second, all would come again together, and refusing them would become the process's main work. While
a line stands, half of the slots are for those who come again in their turn.

Well before anybody is refused, from a quarter of the slots on, background work of the same machine is asked to wait
(:mod:`town_kit.rush`).
"""

import math
from collections.abc import Callable

from town_kit import telemetry
from town_kit.asgi import App, Receive, Scope, Send, header, rendered
from town_kit.bodies import Body, has_body
from town_kit.line import LONGEST_SECONDS, Line, Places, caller_of
from town_kit.problems import Overloaded
from town_kit.rush import QUIET, Rush

SLOTS = 64
KEPT = 8
FIRST_SECONDS = 1  # the shortest Retry-After
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
        places: who was refused; processes that share a port share it. None: this process alone.
        rush: told when callers wait, so that background work of the same machine waits for them.
    """

    def __init__(
        self,
        app: App,
        *,
        slots: int = SLOTS,
        kept: int = KEPT,
        privileged: Callable[[Scope], bool] = nobody,
        places: Places | None = None,
        rush: Rush = QUIET,
    ) -> None:
        self.app = app
        self.slots = slots
        self.ordinary = slots - kept
        self.for_newcomers = max(self.ordinary // 2, 1)
        self.crowded = max(self.ordinary // 4, 1)
        self.privileged = privileged
        self.in_flight = 0
        self._rush = rush
        self._line = Line(self.ordinary, places)
        self._refusals = [  # made beforehand: refusing must cost next to nothing
            rendered(Overloaded("少し待ってから、もう一度送ってください。", retry_after=seconds))
            for seconds in range(math.ceil(LONGEST_SECONDS) + 1)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit or refuse; health checks and anything but HTTP pass."""
        if scope["type"] != "http" or scope["path"] in HEALTH:
            await self.app(scope, receive, send)
            return
        if has_body(scope):
            body = Body(receive, send, expects=header(scope, b"expect") is not None)
            receive, send = body.receive, body.send
        if wait := self._wait(scope):
            telemetry.count("requests_refused", reason=Overloaded.slug)
            start, content = self._refusals[wait]
            await send({"type": "http.response.start", **start})
            await send({"type": "http.response.body", "body": content})
            return
        self.in_flight += 1
        if self.in_flight > self.crowded:
            self._rush.sign()
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= 1
            self._line.finished()

    def _wait(self, scope: Scope) -> int:
        """Whole seconds after which a caller shall come again; 0: she is let in."""
        stands = self._line.stands()
        if self.in_flight < (self.for_newcomers if stands else self.ordinary):
            return 0
        if self.in_flight < self.slots and self.privileged(scope):
            return 0
        who = caller_of(scope)
        wait = self._line.wait(who)
        if wait == 0 and self.in_flight < self.ordinary:
            self._line.leave(who)
            return 0
        return max(FIRST_SECONDS, math.ceil(round(wait, 6)))
