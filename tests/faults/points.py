"""The places of the code at which a loaded town's processes are killed (see ``town_kit.failpoints``)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.faults.town import Ground

REACHED_WITHIN = 40.0


@dataclass(frozen=True)
class Point:
    """One place.

    Attributes:
        name: as the code calls it.
        title: in words.
        whose: what goes on there when the process is killed, one after the other.
    """

    name: str
    title: str
    whose: Sequence[str]


MOVES = ("application.submit", "application.accept", "application.withdraw")
RELAYS = ("procedures", "standardization", "notifications")
CHAINS = ("procedures", "standardization", "procedures")  # the load touches persons nowhere else
CONSUMERS = ("notifications.messages", "standardization.applications", "procedures.decisions")
POINTS = (
    Point("before-commit", "an API is killed before a commit", MOVES),
    Point("after-commit-before-reply", "an API is killed after a commit", MOVES),
    Point("after-outbox-read", "a relay is killed before it sends", RELAYS),
    Point("after-produce-before-mark", "a relay is killed before it marks", RELAYS),
    Point("after-mark", "a relay is killed after it has marked", RELAYS),
    Point("after-poll-before-tx", "a consumer is killed with events in hand", CONSUMERS),
    Point("after-effect-before-commit", "a consumer is killed before its commit", CONSUMERS),
    Point("after-commit-before-offset", "a consumer is killed before its offset", CONSUMERS),
    Point("mid-audit-append", "a chain of records is killed half way", CHAINS),
)


def dying_at(point: Point) -> Callable[[Ground, int], Awaitable[None]]:
    """Arms the place and waits until a process has died there.

    Raises:
        TimeoutError: (from what it makes) nobody came there.
    """

    async def inject(ground: Ground, number: int) -> None:
        place = f"{point.name}.{point.whose[number % len(point.whose)]}"
        armed = ground.town.arm(place)
        give_up = time.monotonic() + REACHED_WITHIN
        while armed.exists():
            if time.monotonic() > give_up:
                armed.unlink(missing_ok=True)
                raise TimeoutError(f"nobody came to {place} within {REACHED_WITHIN:.0f} s")
            await asyncio.sleep(0.01)

    return inject
