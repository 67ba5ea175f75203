"""The sweep of the failpoints (障害点): each place where a process may die, and it does, under load."""

import asyncio
import os
import subprocess
import sys
from functools import partial

from tests.faults.injections import Fault, change_of, next_version
from tests.faults.points import POINTS, Point, dying_at
from tests.faults.processes import restart
from tests.faults.town import Ground

TIMES, LONG_TIMES = 3, 50
# Its claims end after seven minutes; the harness ends them when it waits for quiet.
SENDERS = Point("after-send-before-mark", "a sender is killed before it marks", ("push", "email"))
MIGRATE = """import sys; from pathlib import Path; from town_kit.db import migrations
getattr(migrations, sys.argv[1])(sys.argv[2], Path(sys.argv[3]), sys.argv[4])"""
ROTATE = "import sys; from pathlib import Path; from town_identity.keys import rotate; rotate(Path(sys.argv[1]))"


async def migrate_half_way(ground: Ground, number: int) -> None:
    """A migration dies before its commit and is done again; the next time, the way back."""
    with next_version(ground) as folder:
        change = change_of(ground, folder, back=bool(number % 2))
        armed = ground.town.arm("mid-migration.procedures")
        await _dies(ground, MIGRATE, *change)
        if armed.exists():
            raise AssertionError("the migration did not come to its failpoint")
        await _succeeds(ground, MIGRATE, *change)


async def rotate_half_way(ground: Ground, number: int) -> None:
    """A change of identity's keys dies between its files and is done again; identity then signs with the new key."""
    place = f"mid-key-rotation.{('before-list', 'after-list')[number % 2]}"
    armed = ground.town.arm(place)
    ring = str(ground.town.place.key_ring)
    await _dies(ground, ROTATE, ring)
    if armed.exists():
        raise AssertionError(f"the change of keys did not come to {place}")
    await _succeeds(ground, ROTATE, ring)
    await restart(ground, "identity-serve")


async def _run(ground: Ground, script: str, *arguments: str) -> int:
    environment = {**os.environ, "TOWN_FAILPOINTS": str(ground.town.failpoints)}
    command = [sys.executable, "-c", script, *arguments]
    done = await asyncio.to_thread(
        partial(subprocess.run, command, env=environment, check=False, timeout=60, capture_output=True)
    )
    return done.returncode


async def _dies(ground: Ground, script: str, *arguments: str) -> None:
    code = await _run(ground, script, *arguments)
    if code != -9:
        raise AssertionError(f"it was to be killed half way and ended with {code}")


async def _succeeds(ground: Ground, script: str, *arguments: str) -> None:
    for _ in range(5):  # a migration gives up its lock after five seconds rather than make everybody wait
        if await _run(ground, script, *arguments) == 0:
            return
    raise AssertionError("what was killed half way cannot be done again")


SWEEP: tuple[Fault, ...] = (
    *(Fault(point.name, point.title, dying_at(point), TIMES, LONG_TIMES) for point in (*POINTS, SENDERS)),
    Fault("mid-migration", "a migration is killed half way", migrate_half_way, TIMES, LONG_TIMES),
    Fault("mid-key-rotation", "a change of keys is killed half way", rotate_half_way, TIMES, LONG_TIMES),
)
