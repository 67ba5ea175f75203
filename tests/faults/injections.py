"""The faults F1 to F15, as data: what is done, how often, and what the machine must have for it."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import stamina
from sqlalchemy.exc import DBAPIError
from tests.faults import machine
from tests.faults.processes import children, kill, pid_of, postmaster, restart, second, send, until
from tests.faults.proxy import Proxy
from tests.faults.town import Ground

from town_kit.db import migrations
from town_kit.messaging.kafka_node import KafkaNode
from town_onebox.assembly import LOG_DATABASES
from town_onebox.registry import BY_NAME, ENTRIES

LONG_TIMES = 20
CUT_SECONDS = {False: 3.0, True: 30.0}
STOP_SECONDS = {False: 30.0, True: 120.0}
FULL_SECONDS = {False: 6.0, True: 30.0}
HOLD_SECONDS = 6.0
LATENCY_SECONDS = 0.5
CLOCK_SECONDS = 300
WRONG_CLOCKS = ("procedures-serve", "procedures-work", "notifications-work")
HELD_CONNECTIONS = 100
WORKER_SECONDS = 5.0
CHANGE_TRIES = 5
NEXT_VERSION = """revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None
from alembic import op

def upgrade():
    op.execute("ALTER TABLE applications ADD COLUMN drill text")
    op.execute("CREATE INDEX applications_drill ON applications (drill)")

def downgrade():
    op.execute("ALTER TABLE applications DROP COLUMN drill")
"""
Inject = Callable[[Ground, int], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: F1 to F15.
        title: in words.
        inject: does it, given the number of the injection (0, 1 …), and returns when it is over.
        times: injections in a quick run.
        long_times: injections in a long one.
        rest: seconds until the next injection at least; no answer to a client shows that a worker is back.
        answers_within: seconds after which a client must have been answered again.
        delivered_within: seconds after which what was under way must be in the log again; None: not waited for.
        lacks: why it cannot be done here; None when it can.
    """

    name: str
    title: str
    inject: Inject
    times: int = 2
    long_times: int = LONG_TIMES
    rest: float = 0.0
    answers_within: float | None = None
    delivered_within: float | None = None
    lacks: Callable[[Ground], str | None] = field(default=lambda _: None)


def killing(*parts: str) -> Inject:
    """Kills one part after the other."""

    async def inject(ground: Ground, number: int) -> None:
        await kill(ground, parts[number % len(parts)])

    return inject


async def end_postgres(ground: Ground, number: int) -> None:
    """Every process of PostgreSQL at once, as a power cut; or ``pg_ctl stop -m immediate``."""
    first = postmaster(ground)
    if number % 2:
        os.kill(first, signal.SIGQUIT)
        return
    for pid in (first, *children(first)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it ended with the first of them


async def lose_log(ground: Ground, number: int) -> None:
    """The log is killed and everything in it is gone."""
    if ground.broker is not None:
        ground.broker.kill()
        ground.broker.wipe()
        await asyncio.sleep(1 + 2 * (number % 2))
        await asyncio.to_thread(ground.broker.start)
        return
    for database in LOG_DATABASES.values():
        connection = await ground.town.connect(database)
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
        await connection.execute("BEGIN")
        await connection.fetch(others, database)
        await connection.execute("TRUNCATE log_topics, log_records, log_groups")
        await connection.execute("COMMIT")
        await connection.close()


async def restart_log(ground: Ground, number: int) -> None:
    """The log is ended, at once or in order, and comes back with what it held."""
    if ground.broker is None:
        os.kill(postmaster(ground), signal.SIGINT)
        return
    await asyncio.to_thread(ground.broker.stop if number % 2 else ground.broker.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(ground.broker.start)


CUTS: tuple[tuple[str, Callable[[Proxy], None]], ...] = (
    ("drop", Proxy.drop),
    ("reset", Proxy.reset),
    ("half-open", Proxy.half_open),
    ("latency", lambda proxy: proxy.latency(LATENCY_SECONDS)),
    ("one way", lambda proxy: proxy.one_way("up")),
)


def cutting(what: str) -> Inject:
    """Cuts every connection of one kind, each time in another way."""

    async def inject(ground: Ground, number: int) -> None:
        cut = CUTS[number % len(CUTS)][1]
        proxies = ground.before(what)
        for proxy in proxies:
            cut(proxy)
        await asyncio.sleep(CUT_SECONDS[ground.long])
        for proxy in proxies:
            proxy.heal()

    return inject


async def fill_disk(ground: Ground, number: int) -> None:
    """No space on the disk of PostgreSQL, or on that of the broker; every second time PostgreSQL needs more at once."""
    if ground.broker is not None and number % 3 == 2:
        await _fill_log(ground, ground.broker)
        return
    assert ground.disk is not None
    with machine.full(ground.disk):
        for _ in range(int(FULL_SECONDS[ground.long])):
            if number % 2:
                await _next_wal(ground)
            await asyncio.sleep(1)


async def _next_wal(ground: Ground) -> None:
    """Ask for another segment of the write-ahead log, for which there is no space."""
    try:
        connection = await ground.town.connect("postgres")
        try:
            await connection.execute("SELECT pg_switch_wal()")
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return  # it has fallen, as was to be expected


async def _fill_log(ground: Ground, broker: KafkaNode) -> None:
    assert ground.log_disk is not None
    with machine.full(ground.log_disk):
        await asyncio.sleep(FULL_SECONDS[ground.long])
    if broker.pid is None:
        await asyncio.to_thread(broker.start)


async def stop_consumer(ground: Ground, number: int) -> None:
    """A consumer stands still and another takes its place; then it goes on and believes it still has its partitions."""
    service = ("notifications", "standardization")[number % 2]
    async with second(ground, service):
        await send(ground, f"{service}-work", signal.SIGSTOP)
        await asyncio.sleep(STOP_SECONDS[ground.long])
        await send(ground, f"{service}-work", signal.SIGCONT)
        await asyncio.sleep(1)


async def set_clock(ground: Ground, number: int) -> None:
    """A service and workers live five minutes in the future, the next time five minutes in the past."""
    files = [ground.extra / f"{part}.env" for part in WRONG_CLOCKS]
    wrong = machine.clock((CLOCK_SECONDS, -CLOCK_SECONDS)[number % 2])
    for file in files:
        file.write_text("".join(f"{name}={value}\n" for name, value in wrong.items()))
    await asyncio.gather(*(restart(ground, part) for part in WRONG_CLOCKS))
    await asyncio.sleep(HOLD_SECONDS)
    for file in files:
        file.unlink()
    await asyncio.gather(*(restart(ground, part) for part in WRONG_CLOCKS))


async def hold_connections(ground: Ground, number: int) -> None:
    """Somebody else holds a hundred connections to PostgreSQL."""
    async with AsyncExitStack() as stack:
        for _ in range(HELD_CONNECTIONS):
            try:
                connection = await ground.town.connect("procedures")
            except asyncpg.PostgresError:
                break  # there are no more
            stack.push_async_callback(connection.close)
        await asyncio.sleep(HOLD_SECONDS)


async def two_relays(ground: Ground, number: int) -> None:
    """A second worker of procedures runs; the first is killed, so that the second becomes the relay, and is killed."""
    async with second(ground, "procedures"):
        await asyncio.sleep(HOLD_SECONDS / 2)
        await kill(ground, "procedures-work")
        await asyncio.sleep(HOLD_SECONDS / 2)


async def exhaust_memory(ground: Ground, number: int) -> None:
    """The kernel kills a worker for want of memory."""
    part = ("notifications-work", "procedures-work")[number % 2]
    pid = await pid_of(ground, part)
    with machine.out_of_memory(pid):
        await until(lambda: ground.town.pid_of(part) != pid, f"{part} still has memory")


async def roll(ground: Ground, number: int) -> None:
    """Every process is restarted in turn, while the schema of procedures is changed (and changed back)."""
    with next_version(ground) as folder:
        direction, url, _, revision = change_of(ground, folder, back=bool(number % 2))
        changing = asyncio.create_task(_changed(getattr(migrations, direction), url, folder, revision))
        for entry in ENTRIES:
            roles = ("serve", "work") if entry.serves else ("work",)
            await asyncio.gather(*(restart(ground, f"{entry.name}-{role}") for role in roles))
        await changing


async def _changed(change: Callable[[str, Path, str], None], url: str, folder: Path, revision: str) -> None:
    """A migration gives up its lock after five seconds rather than make everybody wait; then it is tried again."""
    async for attempt in stamina.retry_context(on=DBAPIError, attempts=CHANGE_TRIES, timeout=None, wait_max=1.0):
        with attempt:
            await asyncio.to_thread(change, url, folder, revision)


def change_of(ground: Ground, folder: Path, *, back: bool) -> tuple[str, str, str, str]:
    """The next version of procedures' schema, or the way back: function, database, folder, revision."""
    owner = ground.town.town.secrets.databases["procedures"].owner
    host, port = ground.town.town.server
    url = f"postgresql+asyncpg://procedures_owner:{owner}@{host}:{port}/procedures"
    shipped = migrations.head(BY_NAME["procedures"].migrations) or ""
    return ("downgrade", url, str(folder), shipped) if back else ("upgrade", url, str(folder), "head")


@contextmanager
def next_version(ground: Ground) -> Iterator[Path]:
    """The migrations of procedures with one more."""
    shipped, folder = BY_NAME["procedures"].migrations, ground.folder / "migrations"
    shutil.copytree(shipped, folder)
    (folder / "versions" / "9999_drill.py").write_text(NEXT_VERSION.format(head=migrations.head(shipped)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _no_disk(ground: Ground) -> str | None:
    return machine.no_small_disk() if ground.disk is None else None


def each(parts: Sequence[object]) -> int:
    """At least twice, and each part once."""
    return max(2, len(parts))


SERVED = ("procedures-serve", "identity-serve", "notifications-serve", "standardization-serve")
CONSUMING = ("notifications-work", "standardization-work", "connector-work", "procedures-work", "gateway-work")

FAULTS: tuple[Fault, ...] = (
    Fault("F1", "the gateway is killed", killing("gateway-serve")),
    Fault("F2", "each API service is killed", killing(*SERVED), each(SERVED)),
    Fault("F3", "the relay is killed", killing("procedures-work"), rest=WORKER_SECONDS),
    Fault("F4", "each consumer is killed", killing(*CONSUMING), each(CONSUMING), rest=WORKER_SECONDS),
    Fault("F5", "PostgreSQL is killed, and stopped at once", end_postgres, answers_within=10.0),
    Fault("F6", "the log loses everything", lose_log, delivered_within=120.0),
    Fault("F7", "the log is restarted", restart_log),
    Fault("F8-database", "cuts between services and PostgreSQL", cutting("database"), each(CUTS)),
    Fault("F8-log", "cuts between services and the log", cutting("log"), each(CUTS)),
    Fault("F8-service", "cuts between gateway and services", cutting("service"), each(CUTS)),
    Fault("F9", "no space on the disk", fill_disk, 3, lacks=_no_disk),
    Fault("F10", "a consumer stands still, another takes over", stop_consumer),
    Fault(
        "F11", "a clock is five minutes wrong", set_clock, rest=WORKER_SECONDS, lacks=lambda _: machine.no_other_clock()
    ),
    Fault("F12", "a hundred connections are held", hold_connections),
    Fault("F13", "two relays at once", two_relays),
    Fault(
        "F14",
        "a worker runs out of memory",
        exhaust_memory,
        rest=WORKER_SECONDS,
        lacks=lambda _: machine.no_memory_limit(),
    ),
    Fault("F15", "rolling restart with a migration", roll),
)
