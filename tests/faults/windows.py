"""How long a fault was felt: from the client's ledger, while the load goes on."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.ledger import Book, Operation, Outcome

NORMAL_WINDOW = 1.5
NORMAL_AT_LEAST = 0.3
NORMAL_FACTOR = 3.0
POLL = 0.2


@dataclass
class Window:
    """One injection and what the client felt of it.

    Attributes:
        fault: its name, such as F3.
        began: monotonic seconds of the injection.
        over: of its end: a kill is over at once, a cut when it is healed.
        first_success: seconds from ``over`` to the first acknowledgement of an operation that was sent after it.
        normal: seconds from ``over`` until the 99th percentile was normal for a while; None: never, here.
        delivered: seconds from ``over`` until every event written before it was in the log; None: not asked.
        late: what took longer than it may, in words.
        until: monotonic seconds of the end of the window.
    """

    fault: str
    began: float
    over: float
    first_success: float | None = None
    normal: float | None = None
    delivered: float | None = None
    late: str = ""
    until: float = 0.0


def operations_in(book: Book, began: float, until: float) -> list[Operation]:
    """The operations sent in a span of time."""
    return [one for one in book.operations.values() if began <= one.sent < until]


def percentile(operations: Sequence[Operation], share: float) -> float | None:
    """Seconds to the definite answer; None where one of them has none yet."""
    times = sorted(one.ended - one.sent for one in operations if one.ended is not None)
    if not times or len(times) < len(operations):
        return None
    return times[min(int(len(times) * share), len(times) - 1)]


async def steady(book: Book, seconds: float) -> float:
    """Let the load run for a while; the 99th percentile of that time, in seconds.

    Raises:
        RuntimeError: nothing was acknowledged.
    """
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        await asyncio.sleep(POLL)
    operations = operations_in(book.read(), began, time.monotonic() - 1.0)
    found = percentile([one for one in operations if one.ended is not None], 0.99)
    if found is None:
        raise RuntimeError("the town acknowledged nothing")
    return found


async def recovery(book: Book, window: Window, usual: float, *, at_least: float, within: float) -> None:
    """Wait until the town is as usual again, and note how long that took.

    Args:
        book: the client's ledger.
        window: what is noted in.
        usual: the 99th percentile without a fault, in seconds.
        at_least: seconds to wait in any case.
        within: seconds after which it is given up.
    """
    limit = max(usual * NORMAL_FACTOR, NORMAL_AT_LEAST)
    while time.monotonic() < window.over + within:
        await asyncio.sleep(POLL)
        operations = [one for one in book.read().operations.values() if one.sent >= window.over]
        acked = [one.ended for one in operations if one.outcome is Outcome.ACKED and one.ended is not None]
        if acked:
            window.first_success = min(acked) - window.over
        window.normal = _normal_since(operations, window.over, limit)
        if window.normal is not None and time.monotonic() >= window.over + at_least:
            break
    window.until = time.monotonic()


def _normal_since(operations: Sequence[Operation], over: float, limit: float) -> float | None:
    """Seconds after ``over`` at which a normal while began, if it is there by now."""
    slow = [one.sent for one in operations if one.ended is None or one.ended - one.sent > limit]
    now = time.monotonic()
    settled = now - limit  # what was sent later may still be slow
    since = max([over, *(sent for sent in slow if sent < settled)])
    if settled - since < NORMAL_WINDOW or not any(since < one.sent < settled for one in operations):
        return None
    return since - over
