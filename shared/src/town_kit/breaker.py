"""Calls to a system that fails are held back for a while."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class BreakerOpen(Exception):
    """Calls are held back; ``retry_after`` says for how many seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("breaker open")
        self.retry_after = retry_after


class Breaker:
    """Holds calls back after ``failures`` failures in a row, for ``pause`` seconds; then one call tries again.

    A system that is down is not made worse by us, and our callers hear so at once instead of waiting.
    """

    def __init__(self, *, failures: int = 5, pause: float = 15.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = failures
        self.pause = pause
        self._clock = clock
        self._in_a_row = 0
        self._open_until: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are held back now."""
        return self._open_until is not None and (self._trying or self._clock() < self._open_until)

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Run one call; an exception other than cancellation counts as a failure.

        Raises:
            BreakerOpen: calls are held back.
        """
        if self._open_until is not None:
            left = self._open_until - self._clock()
            if left > 0 or self._trying:
                raise BreakerOpen(max(left, 1.0))
            self._trying = True
        try:
            yield
        except Exception:
            self._in_a_row += 1
            if self._trying or self._in_a_row >= self.failures:
                self._open_until = self._clock() + self.pause
            raise
        else:
            self._in_a_row = 0
            self._open_until = None
        finally:
            self._trying = False
