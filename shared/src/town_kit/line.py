"""The line (順番待ち) of those a full process has refused: when each shall come again, and who of them comes.

Whoever comes again at her time goes before those who come for the first time. Without that right she would be refused
as often as anybody else, and one in a hundred would be refused again and again.
"""

import mmap
import time
from collections.abc import Callable

from town_kit.asgi import Scope

LONGEST_SECONDS = 15.0  # the longest anybody is sent away for
EARLY_SECONDS = 1.0  # who comes so much too early counts as in time
FORGOTTEN_SECONDS = 60.0  # after her time; then she is a newcomer again
SIZE = 32_768
_NAMED_BY = frozenset({b"authorization", b"idempotency-key"})
_PASSED_ON = frozenset({b"forwarded", b"x-forwarded-for"})


class Places:
    """When each of those who were refused may come, in memory that the processes forked later share.

    A table without chains: of two callers who fall on one place the later one has it, and the other is a newcomer.

    Args:
        size: how many callers it remembers; 16 bytes each.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._who = memoryview(mmap.mmap(-1, size * 8)).cast("q")
        self._due = memoryview(mmap.mmap(-1, size * 8)).cast("d")

    def due(self, who: int) -> float | None:
        """The moment (monotonic) told to a caller; None for one who was told none."""
        place = who % self._size
        return self._due[place] if self._who[place] == who else None

    def keep(self, who: int, due: float) -> None:
        """Remember what a caller was told."""
        place = who % self._size
        self._who[place], self._due[place] = who, due

    def forget(self, who: int) -> None:
        """She has come."""
        place = who % self._size
        if self._who[place] == who:
            self._who[place] = 0


def caller_of(scope: Scope) -> int:
    """By what a request is known again: path, token and idempotency key, as a number that names none of them.

    Who has neither is known by her address and by the one a proxy tells: behind a proxy all would be one otherwise, and
    all be told the same second. A wrong address gives no right: only who was refused under it has a place.

    The number is good within one process and those forked from it.
    """
    named = tuple(value for name, value in scope["headers"] if name in _NAMED_BY)
    if not named:
        passed_on = (value for name, value in scope["headers"] if name in _PASSED_ON)
        named = ((scope.get("client") or ("",))[0], *passed_on)
    return hash((scope["method"], scope["path"], named))


class Line:
    """When those who were refused shall come again: one after another, as fast as the process finishes requests.

    Args:
        least: requests a second the process finishes at the least, while nothing is known of it yet.
        places: where it is kept who was told what.
        clock: seconds that only go forward.
    """

    def __init__(
        self, least: float, places: Places | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._places = places or Places()
        self._least = self._pace = max(least, 1.0)
        self._since = clock()
        self._finished = 0
        self._taken_until = 0.0

    def finished(self) -> None:
        """Count a request that has its answer."""
        self._finished += 1

    def stands(self) -> bool:
        """Whether somebody is still expected."""
        return self._taken_until > self._clock()

    def wait(self, who: int) -> float:
        """Seconds until a caller's turn: 0 when it has come; one who had no place gets the last."""
        now = self._clock()
        due = self._places.due(who)
        if due is None or now > due + FORGOTTEN_SECONDS:
            due = self._last_place(now)
            self._places.keep(who, due)
            return due - now
        return due - now if now < due - EARLY_SECONDS else 0.0

    def leave(self, who: int) -> None:
        """A caller was let in."""
        self._places.forget(who)

    def _last_place(self, now: float) -> float:
        passed = now - self._since
        if passed >= 1:
            self._pace = max(self._finished / passed, self._least)
            self._since, self._finished = now, 0
        self._taken_until = min(max(self._taken_until, now) + 1 / self._pace, now + LONGEST_SECONDS)
        return self._taken_until
