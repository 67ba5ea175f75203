"""The emergency lane is woken by the commit that has work for it, in whichever process that happened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from sqlalchemy import text

from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.messaging import notify
from town_kit.messaging.notify import Notifier
from town_kit.service import Job, Service
from town_kit.settings import Zone
from town_kit.testing.auth import eventually
from town_kit.worker import work

NEVER = timedelta(hours=1)
END = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'town_urgent' AND usename = current_user"  # not the lane of a test beside this one
)


class Runs:
    """Counts the runs of jobs by name."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}

    def job(self, name: str, *, urgent: bool) -> Job:
        async def run() -> int:
            self.of[name] = self.of.get(name, 0) + 1
            return 0

        return Job(name, NEVER, run, urgent=urgent)

    def reached(self, name: str, count: int) -> Callable[[], Awaitable[bool]]:
        async def check() -> bool:
            return self.of.get(name, 0) >= count

        return check


@asynccontextmanager
async def emergency_lane(urls: DatabaseUrls, runs: Runs) -> AsyncIterator[None]:
    """The urgent jobs of a service as a process of their own runs them."""
    jobs = (runs.job("urgent", urgent=True), runs.job("ordinary", urgent=False))
    service = Service("test", "試験", Zone.INTERNET, cast(Any, None), Database(urls.app_url), cast(Any, None), Path())
    service.jobs = jobs
    lane = asyncio.create_task(work(service, ordinary=False))
    try:
        await eventually(runs.reached("urgent", 1))
        yield
    finally:
        lane.cancel()
        await asyncio.gather(lane, return_exceptions=True)


async def test_a_commit_elsewhere_wakes_the_urgent_jobs_and_no_other(own_urls: DatabaseUrls) -> None:
    runs = Runs()
    async with (
        emergency_lane(own_urls, runs),
        Database(own_urls.app_url).running() as web,
        Notifier(web, "test").running(),
    ):
        await asyncio.sleep(0.3)  # the lane listens
        async with web.begin() as session:
            await session.execute(text("SELECT 1"))
        await asyncio.sleep(0.3)
        assert runs.of == {"urgent": 1}
        async with web.begin() as session:
            notify.urgent(session)
        await eventually(runs.reached("urgent", 2), within=5)
    assert "ordinary" not in runs.of


async def test_a_lane_that_lost_its_connection_listens_again(own_urls: DatabaseUrls) -> None:
    runs = Runs()
    async with (
        emergency_lane(own_urls, runs),
        Database(own_urls.app_url).running() as web,
        Notifier(web, "test").running(),
    ):
        await asyncio.sleep(0.3)
        async with web.begin() as session:
            assert (await session.execute(END)).scalar_one()

        async def woken() -> bool:
            async with web.begin() as session:
                notify.urgent(session)
            return await runs.reached("urgent", 2)()

        await eventually(woken, within=10)
