"""Whether the staff directory answers: looked at every ten seconds, remembered for all processes."""

from datetime import datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert

from town_identity.staff_sessions.directory import StaffDirectory
from town_identity.staff_sessions.models import StaffDirectoryWatch
from town_kit import telemetry
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.problems import DependencyUnavailable
from town_kit.service import Job

EVERY = timedelta(seconds=10)
# An old failure says nothing about the time since: after a longer gap the outage begins anew.
LONGEST_GAP = timedelta(minutes=10)


async def look(database: Database, directory: StaffDirectory, clock: Clock) -> datetime | None:
    """Ask the directory and remember the answer; since when it has been away, or None."""
    answers = await _answers(directory)
    now = clock.now()
    fresh = insert(StaffDirectoryWatch).values(
        issuer=directory.issuer, looked_at=now, away_since=None if answers else now
    )
    known = StaffDirectoryWatch
    goes_on = case((known.looked_at < now - LONGEST_GAP, now), else_=func.coalesce(known.away_since, now))
    statement = fresh.on_conflict_do_update(
        index_elements=["issuer"], set_={"looked_at": now, "away_since": None if answers else goes_on}
    ).returning(known.away_since)
    async with database.begin() as session:
        since: datetime | None = (await session.execute(statement)).scalar_one()
    telemetry.gauge("staff_directory_away_seconds", (now - since).total_seconds() if since else 0)
    return since


async def away_since(database: Database, directory: StaffDirectory, clock: Clock) -> datetime | None:
    """Since when the directory has been away, or None; looks again if nobody has just now (a worker may be down)."""
    query = select(StaffDirectoryWatch).where(StaffDirectoryWatch.issuer == directory.issuer)
    async with database.begin() as session:
        found = (await session.execute(query)).scalar_one_or_none()
    if found is None or found.looked_at < clock.now() - 2 * EVERY:
        return await look(database, directory, clock)
    return found.away_since


def watch_job(database: Database, directory: StaffDirectory, clock: Clock) -> Job:
    """The worker's job."""

    async def run() -> int:
        await look(database, directory, clock)
        return 0

    return Job("staff-directory.watch", EVERY, run)


async def _answers(directory: StaffDirectory) -> bool:
    try:
        await directory.ask()
    except DependencyUnavailable:
        return False
    return True
