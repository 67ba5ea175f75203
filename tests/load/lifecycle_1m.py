"""`lifecycle-1m`: the same lifecycle with 1,000,000 applications stored, and what is read from among them.

Two towns run side by side and are driven in many short turns, because a machine's speed may change by half from one
turn to the next: one nearly empty, and one into whose databases a million applications of the last 100 days were put,
one in twenty of them open. Events of the last 14 days still stand in outbox and log and answers of the last 7 are still
stored, as the town keeps them; everything else is kept for ever. What the nearly empty town did in all of its turns is
the reference. Ten minutes on two cores.
"""

import asyncio
import fcntl
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import httpx
from rich.console import Console
from tests.load import box
from tests.load.lifecycle import Load, generate
from tests.load.measure import Measure
from tests.load.stored import Amount, fill

from town_kit.audit import verify
from town_kit.clock import SystemClock
from town_kit.db import Database, server
from town_kit.ids import new_id
from town_kit.pagination import encode
from town_onebox import secrets
from town_onebox.assembly import Town
from town_onebox.journey import people
from town_onebox.place import Place

SECONDS = 2.5
TURNS = 24
WARM_UP, WARM_AGAIN = 4.0, 1.0
TURN = Path(tempfile.gettempdir()) / "town-bench-turn"
READS = 600
AMOUNT = Amount()
BARE_PAGES = 40
APPLICATIONS, QUEUE = "/procedures/v1/applications", "/procedures/v1/work-queue"
FILTERS = ("", "&state=submitted", "&state=accepted", "&procedure_code=LC-01", "&procedure_code=CH-01&state=submitted")
Found = Mapping[str, Any]


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    console = Console(stderr=True, highlight=False)

    def tell(what: str) -> None:
        console.print(f"  {what}", style="dim")

    with box.directory({}) as bare, box.directory({}) as stored:
        tell("a town that begins to live")
        await asyncio.to_thread(box.loaded, "tests.load.stored", stored)
        tell(f"storing {AMOUNT.applications:,} applications")
        with _databases(stored, fast=True) as dsns:
            before = await _sizes(dsns)
            async with _nothing_tidied(dsns["postgres"]):
                await fill(dsns, AMOUNT, tell)
            after = await _sizes(dsns)
        os.sync()  # the server did not: else the next one would wait for all of it
        tell("that town, and one with next to nothing stored, in turn")
        both = (asyncio.to_thread(box.loaded, __name__, town) for town in (stored, bare))
        full, empty = await asyncio.gather(*both)
        tell("its audit trail")
        with _databases(stored, fast=False) as dsns:
            checked = await _checked(dsns["procedures_app"])
    return [*_compared(full, empty), *_grown(before, after), *checked]


async def load(town: Town) -> dict[str, Any]:
    """Drive the town at full speed and wait for the last effect, turn by turn; then read from it."""
    start = time.time() - town.started_at
    done = []
    for turn in range(TURNS):
        async with _turn():
            done.append(await generate(town, SECONDS, WARM_AGAIN if turn else WARM_UP))
    found: dict[str, Any] = _together(done) | {"start_s": start}
    async with _turn(), httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        resident = await people.resident(town, client, people.CARDS[0])
        clerk = await people.staff(client, "clerk")
        own, queue = await asyncio.gather(  # the two side by side, as a resident and a clerk would
            _pages(town.public_url, f"{APPLICATIONS}?limit=100", resident.token, ("",)),
            _pages(town.public_url, f"{QUEUE}?limit=100", clerk.token, FILTERS),
        )
        counts = await _times(town.public_url, clerk.token, [f"{QUEUE}/counts"] * READS)
        readyz = await _times(town.public_url, clerk.token, ["/readyz"] * READS)
    named = {"resident": own, "queue": queue, "list": own + queue, "counts": counts, "readyz": readyz}
    return found | {name: p99(times) for name, times in named.items()}


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    """While one town is driven or read, the other stands idle."""
    with TURN.open("a") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)  # who waits longest is next
        yield
    await asyncio.sleep(0.1)


def _together(turns: Sequence[Load]) -> dict[str, Any]:
    """The turns as one: lifecycles, seconds and drains of all, the middle median, the worst p99."""
    lifecycles, seconds = sum(turn.lifecycles for turn in turns), sum(turn.seconds for turn in turns)
    return {
        "lifecycles": lifecycles,
        "seconds": seconds,
        "per_second": lifecycles / seconds,
        "p50_ms": median(turn.p50_ms for turn in turns),
        "p99_ms": max(turn.p99_ms for turn in turns),
        "refused": sum(turn.refused for turn in turns),
        "drain_s": sum(turn.drain_s for turn in turns),
    }


def p99(times: Sequence[float]) -> float:
    """The time in milliseconds that one in a hundred exceeds."""
    return sorted(times)[int(len(times) * 0.99)]


async def _pages(url: str, path: str, token: str, filters: Sequence[str]) -> list[float]:
    """Milliseconds of ``READS`` pages: with each filter in turn the first, the second, and one in the middle of all."""
    paths: list[str] = []
    middle = encode([SystemClock().now() - timedelta(days=AMOUNT.days / 2), new_id()])
    async with _session(url, token) as http:
        for one in filters:
            async with http.get(path + one) as answer:
                answer.raise_for_status()
                cursor = (await answer.json())["next_cursor"]
            paths += [path + one, *(f"{path}{one}&cursor={quote(place)}" for place in (cursor, middle) if place)]
    return await _times(url, token, list(islice(cycle(paths), READS)))


async def _times(url: str, token: str, paths: Sequence[str]) -> list[float]:
    found = []
    async with _session(url, token) as http:
        for path in paths:
            began = time.perf_counter()
            async with http.get(path) as answer:
                await answer.read()
                answer.raise_for_status()
            found.append((time.perf_counter() - began) * 1000)
    return found


def _session(url: str, token: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"})


@contextmanager
def _databases(town: Path, *, fast: bool) -> Iterator[dict[str, str]]:
    """The town's database server without the town: addresses of each database, as its owner and as its service."""
    place = Place(town)
    running = server.start(place.postgres, fast=fast)
    try:
        passwords = {**secrets.read(place).databases, **secrets.read_vault(place).databases}
        owners = {name: running.dsn(f"{name}_owner", one.owner, name) for name, one in passwords.items()}
        apps = {f"{name}_app": running.dsn(f"{name}_app", one.app, name) for name, one in passwords.items()}
        yield {**owners, **apps, "postgres": running.admin_dsn}
    finally:
        running.stop()


@asynccontextmanager
async def _nothing_tidied(admin_dsn: str) -> AsyncIterator[None]:
    """No autovacuum meanwhile: the filling ends with a vacuum of everything."""
    admin = await asyncpg.connect(admin_dsn)
    try:
        await admin.execute("ALTER SYSTEM SET autovacuum = off")
        await admin.execute("SELECT pg_reload_conf()")
        yield
        await admin.execute("ALTER SYSTEM RESET autovacuum")
    finally:
        await admin.close()


async def _sizes(dsns: Mapping[str, str]) -> dict[str, int]:
    admin = await asyncpg.connect(dsns["postgres"])
    try:
        return {row[0]: row[1] for row in await admin.fetch("SELECT datname, pg_database_size(oid) FROM pg_database")}
    finally:
        await admin.close()


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Measure]:
    """Megabytes of each database for 100,000 applications, the indexes included; what a backup has to carry."""
    per = AMOUNT.applications / 100_000
    for name in sorted(before):
        if (grown := (after[name] - before[name]) / 1e6 / per) >= 1:
            yield Measure(f"stored.{name}.per_100000", grown, "MB", None, None)


async def _checked(app_dsn: str) -> list[Measure]:
    """Records a second of ``audit verify`` over the whole chain, beside bare reading of its first pages."""
    async with Database(server.sqlalchemy_url(app_dsn)).running() as database:
        began = time.perf_counter()
        verdict = await verify.verify(database)
        rate = verdict.checked / (time.perf_counter() - began)
        if not verdict.holds:
            raise RuntimeError(f"the stored trail does not hold: record {verdict.first_bad}, {verdict.reason}")
        began, read = time.perf_counter(), 0
        for _ in range(BARE_PAGES):
            read += len(await verify.read_page(database, read))
        bare = read / (time.perf_counter() - began)
    return [Measure("audit_verify.per_second", rate, "records/s", bare, rate / bare)]


def _compared(full: Found, empty: Found) -> Iterator[Measure]:
    rate, reference = (found["lifecycles"] / found["seconds"] for found in (full, empty))
    yield Measure("lifecycle_1m.ratio_to_empty", rate / reference, "of the empty town", 1.0, rate / reference)
    for name, unit, key in (
        ("lifecycle_1m.per_second", "lifecycles/s", "per_second"),
        ("lifecycle_1m.call_p50", "ms", "p50_ms"),
        ("lifecycle_1m.call_p99", "ms", "p99_ms"),
        ("lifecycle_1m.drain_s", "s", "drain_s"),
        ("lifecycle_1m.refused", "calls", "refused"),
        ("start_at_1m.ready", "s", "start_s"),
        ("readyz_at_1m.p99", "ms", "readyz"),
        ("list_100_at_1m.p99", "ms", "list"),
        ("list_100_of_resident_at_1m.p99", "ms", "resident"),
        ("list_100_of_work_queue_at_1m.p99", "ms", "queue"),
        ("work_queue_counts_at_1m.p99", "ms", "counts"),
    ):
        yield _beside(name, unit, full[key], empty[key])


def _beside(name: str, unit: str, value: float, reference: float) -> Measure:
    return Measure(name, value, unit, reference, value / reference if reference else None)
