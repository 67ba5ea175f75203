"""Whether something is stuck between the portal and the town: a figure for operators, an alarm in ``/readyz``."""

from datetime import timedelta

import structlog

from town_gateway.mynaportal import repository
from town_kit import telemetry
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.service import Job

log = structlog.get_logger(__name__)
ALARM = timedelta(minutes=30)
EVERY = timedelta(seconds=30)


class Stuck(RuntimeError):
    """Something has waited for too long; ``waiting`` on the command line lists it."""


async def waited(database: Database, clock: Clock) -> timedelta:
    """How long the oldest application or status has been waiting for its other side."""
    async with database.begin() as session:
        since = await repository.oldest_waiting(session)
    return max(clock.now() - since, timedelta()) if since else timedelta()


async def nothing_is_stuck(database: Database, clock: Clock) -> None:
    """The alarm.

    Raises:
        Stuck: something waits for longer than :data:`ALARM`.
    """
    if await waited(database, clock) > ALARM:
        raise Stuck


def watch_job(database: Database, clock: Clock) -> Job:
    """Tells every half minute how long the oldest one waits."""

    async def run() -> int:
        age = await waited(database, clock)
        telemetry.gauge("portal_oldest_waiting_seconds", age.total_seconds())
        if age > ALARM:
            log.warning("portal_stuck", seconds=int(age.total_seconds()))
        return 0

    return Job("connector.watching", EVERY, run)
