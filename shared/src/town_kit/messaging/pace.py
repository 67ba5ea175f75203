"""Fewer and larger batches while much comes in.

An event alone is carried at once. Under load each small batch would cost the database as much as a large one, and take
the time from the requests that cause the events; a short gathering then costs nobody anything.
"""

import time
from collections.abc import Callable

BUSY_PER_SECOND = 150.0
GATHER_SECONDS = 0.04
_WINDOW = 0.5


class Pace:
    """How long a relay or consumer waits before its next batch."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._seen = 0
        self._rate = 0.0

    def pause(self, count: int, *, full: bool) -> float:
        """Seconds to wait after a batch of ``count`` events; a full batch means a backlog, and nothing waits then."""
        self._seen += count
        elapsed = self._clock() - self._since
        if elapsed >= _WINDOW:
            self._rate, self._seen, self._since = self._seen / elapsed, 0, self._clock()
        return GATHER_SECONDS if self._rate >= BUSY_PER_SECOND and not full else 0.0
