"""監査の錨: while records keep coming, no link waits for its head outside longer than is promised."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from town_kit.audit import record
from town_kit.audit.anchor import EVERY, AnchorPoster, anchor_age
from town_kit.audit.chain import chain_job
from town_kit.audit.verify import Head, verify
from town_kit.clock import SystemClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.service import Job
from town_kit.testing import PostgresServer
from town_kit.worker import run_job
from town_onebox.registry import BY_NAME

CLOCK = SystemClock()
PROMISED = timedelta(seconds=300)
FASTER = 60  # a minute's round in a second, so that five minutes' promise is five seconds'
RUNS_FOR = 8.0


def written(number: int) -> dict[str, Any]:
    return record.audit_row(
        action="application.accept", basis="行政手続法7条", purpose="申請の受理", principal=None, subjects=[new_id()],
        fields=["state"], result="done", at=CLOCK.now(), trace_id=f"{number:032x}",
    )  # fmt: skip


@asynccontextmanager
async def running(*jobs: Job) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(run_job(_Named, job)) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def unchained(database: Database) -> int:
    async with database.begin() as session:
        counts = "SELECT (SELECT count(*) FROM audit_records) - (SELECT count(*) FROM audit_chain)"
        return int((await session.execute(text(counts))).scalar_one())


class _Named:
    name = "procedures"


async def test_no_link_waits_longer_than_five_rounds(sandbox: Any, postgres_server: PostgresServer) -> None:
    urls = postgres_server.create_database("anchored", BY_NAME["connector"].migrations)
    oldest = timedelta(0)
    async with Database(urls.app_url).running() as database:
        poster = AnchorPoster(database, "anchored", sandbox.addresses["audit_anchor"], CLOCK)
        jobs = chain_job(database, "anchored", CLOCK), replace(poster.job(), every=EVERY / FASTER)
        async with running(*jobs):
            until, number = asyncio.get_running_loop().time() + RUNS_FOR, 0
            while asyncio.get_running_loop().time() < until:
                number += 1
                async with database.begin() as session:
                    await record.insert(session, [written(number)])
                oldest = max(oldest, await anchor_age(database, "anchored", CLOCK.now()))
                await asyncio.sleep(0.05)
            while await unchained(database) or await anchor_age(database, "anchored", CLOCK.now()):
                oldest = max(oldest, await anchor_age(database, "anchored", CLOCK.now()))
                await asyncio.sleep(0.05)
        kept = sandbox.received("audit_anchor", service="anchored")
        async with database.begin() as session:
            chained = dict((await session.execute(text("SELECT seq, chained_at FROM audit_chain"))).all())
        anchors = [Head(one["head"]["seq"], bytes.fromhex(one["head"]["hash"])) for one in kept]
        assert (await verify(database, anchors)).holds
    assert timedelta(0) < oldest <= PROMISED / FASTER
    assert len(kept) >= 3
    # and by the anchor's own clock: for each link the first head that reaches it
    heads = sorted((one["head"]["seq"], datetime.fromisoformat(one["at"])) for one in kept)
    waits = [next((at for reach, at in heads if reach >= seq), None) for seq in chained]
    assert all(
        at is not None and at - since <= PROMISED / FASTER for at, since in zip(waits, chained.values(), strict=True)
    )
