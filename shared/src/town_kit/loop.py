"""The loop a process of the town runs in: uvloop, with a garbage collector that looks rarely.

Nearly everything a request makes goes away by itself, by counting references. At Python's own threshold the collector
looks after every 700 new objects and finds nothing; that took 3.5 % of a web process under load and 4.5 % of a worker.
"""

import gc
from collections.abc import Coroutine
from typing import Any

import uvloop

NEW_OBJECTS = 7_000  # more than went away again since the last look


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on a new loop until it ends."""
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    uvloop.run(main)
