"""A rush (混雑): while callers wait for the web processes of a machine, its background work waits for them.

A worker at a low priority still takes about a third of a full machine, some of it as statements that PostgreSQL carries
out at full priority. What it does may come a little later, whoever waits for an answer may not. So web processes say in
memory they share with it that callers wait, and the worker begins nothing ordinary meanwhile: for a minute and a half
at the most, because notices must come too when a rush does not end.

The emergency lane (緊急情報の便) is a process of its own and waits for nobody.
"""

import asyncio
import math
import mmap
import time
from collections.abc import Callable

import structlog

from town_kit import telemetry

log = structlog.get_logger(__name__)

SIGN_SECONDS = 0.25  # a sign holds for so long
LONGEST_SECONDS = 90.0  # nothing is held back for longer than this after a rush began
CALM_SECONDS = 10.0  # without a sign; the next one begins another rush
LOOK_SECONDS = 0.1


class Rush:
    """Whether callers wait, in memory that the processes forked later share.

    Args:
        clock: seconds that only go forward, the same for all processes of the machine.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = memoryview(mmap.mmap(-1, 8)).cast("d")
        self._began = self._last = -math.inf  # as this process has seen it
        self._held = False

    def sign(self) -> None:
        """Say that callers wait."""
        self._until[0] = self._clock() + SIGN_SECONDS

    def holds(self) -> bool:
        """Whether ordinary work shall wait now."""
        now = self._clock()
        if self._until[0] <= now:
            return False
        if now - self._last > CALM_SECONDS:
            self._began = now
        self._last = now
        return now - self._began < LONGEST_SECONDS

    async def over(self) -> None:
        """Wait until no caller waits, or the rush has lasted too long."""
        while self._tell(self.holds()):  # noqa: ASYNC110 - another process knows; memory wakes nobody
            await asyncio.sleep(LOOK_SECONDS)

    def _tell(self, held: bool) -> bool:
        if held != self._held:
            self._held = held
            telemetry.gauge("work_held_back", float(held))
            log.info("work_is_held_back" if held else "work_goes_on")
        return held


QUIET = Rush()  # nobody's: where web processes and worker share no machine
