"""The faults, as data: what is done, how often, and what the machine must have for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.faults.points import POINTS, dying_at
from tests.faults.town import Ground

TAKES_A_MOMENT = 30.0
Inject = Callable[[Ground, int], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: F1 to F15, or the place where a process dies.
        title: in words.
        inject: does it, given the number of the injection (0, 1 …), and returns when it is over.
        times: injections in a quick run.
        lacks: why it cannot be done here; None when it can.
    """

    name: str
    title: str
    inject: Inject
    times: int = 2
    lacks: Callable[[Ground], str | None] = lambda _: None


LONG_TIMES = 20


async def kill(ground: Ground, part: str) -> None:
    """SIGKILL a part; waits while it is being restarted."""
    give_up = time.monotonic() + TAKES_A_MOMENT
    while not ground.town.kill(part):
        if time.monotonic() > give_up:
            raise TimeoutError(f"{part} does not run")
        await asyncio.sleep(0.01)


def killing(*parts: str) -> Inject:
    """Kills one part after the other."""

    async def inject(ground: Ground, number: int) -> None:
        await kill(ground, parts[number % len(parts)])

    return inject


def each(parts: Sequence[str]) -> int:
    """At least twice, and each part once."""
    return max(2, len(parts))


SERVED = ("procedures-serve", "identity-serve", "notifications-serve", "standardization-serve")
CONSUMING = ("notifications-work", "standardization-work", "connector-work")

FAULTS: tuple[Fault, ...] = (
    Fault("F1", "the gateway is killed", killing("gateway-serve")),
    Fault("F2", "each API service is killed", killing(*SERVED), each(SERVED)),
    Fault("F3", "the relay is killed", killing("procedures-work")),
    Fault("F4", "each consumer is killed", killing(*CONSUMING), each(CONSUMING)),
    *(Fault(point.name, point.title, dying_at(point), each(point.whose)) for point in POINTS),
)
