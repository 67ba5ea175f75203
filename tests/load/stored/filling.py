"""Filling a town's databases: side by side, without indexes, as the owner of each, with nothing of the town running."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import asyncpg
from tests.load.stored import bare

HERE = Path(__file__).parent
DATABASES = ("procedures", "standardization", "notifications", "connector", "gateway", "events_internet")
AT_ONCE = 2
RESIDENTS = 7_890
WORK = (
    "SELECT set_config('town.role', 'service', false)",  # row security binds the owner too
    "SET work_mem = '256MB'",
    "SET maintenance_work_mem = '512MB'",
    "SET max_parallel_maintenance_workers = 0",
)
_TITLE = re.compile(r"^-- (.+)\n", re.MULTILINE)
_TABLE = re.compile(r"^INSERT INTO (\w+)", re.MULTILINE)
_PEOPLE = "SELECT array_agg(DISTINCT filed_by) FROM applications"
_OFFICER = "SELECT actor_id FROM application_transitions WHERE actor_role = 'staff' LIMIT 1"
_OFFSET = "SELECT max(o) FROM log_topics, unnest(next_offsets) AS o WHERE name = 'procedures.applications'"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Amount:
    """How many applications are stored, and over how many days before now they arrived."""

    applications: int = 1_000_000
    days: int = 100


@dataclass(frozen=True)
class Task:
    """Statements that one connection runs one after the other."""

    database: str
    name: str
    statements: str

    @property
    def tables(self) -> frozenset[str]:
        """The tables that are filled."""
        return frozenset(_TABLE.findall(self.statements))


async def fill(dsns: Mapping[str, str], amount: Amount, tell: Tell) -> None:
    """Fill the databases of a town that has already handled a few applications, which the new ones are like.

    Args:
        dsns: database → address, as its owner.
        amount: how much.
        tell: is told what is done and how long it took.
    """
    prelude = await _prelude(dsns, amount)
    parts = [part for name in DATABASES for part in read_parts(name)]
    taken = {}
    for name in DATABASES:
        async with _owner(dsns[name]) as owner:
            tables = frozenset[str]().union(*(part.tables for part in parts if part.database == name))
            taken[name] = await bare.take(owner, sorted(tables))
    await _side_by_side(dsns, [Task(part.database, part.name, prelude + part.statements) for part in parts], tell)
    await _side_by_side(dsns, _numbered("index", {name: found.indexes for name, found in taken.items()}), tell)
    await _side_by_side(
        dsns, _numbered("foreign key", {name: found.foreign_keys for name, found in taken.items()}), tell
    )
    await _side_by_side(dsns, [Task(name, "vacuumed, analysed", "VACUUM (ANALYZE)") for name in DATABASES], tell)


def read_parts(database: str) -> list[Task]:
    """The parts of a database's file; each begins with a title."""
    text = (HERE / f"{database}.sql").read_text(encoding="utf-8")
    _, *pieces = re.split(r"^-- part: (.+)\n", text, flags=re.MULTILINE)
    return [Task(database, title, body) for title, body in zip(pieces[::2], pieces[1::2], strict=True)]


def _numbered(what: str, statements: Mapping[str, Sequence[str]]) -> list[Task]:
    return [Task(name, f"{what} {n}", one) for name, every in statements.items() for n, one in enumerate(every, 1)]


async def _prelude(dsns: Mapping[str, str], amount: Amount) -> str:
    async with _owner(dsns["procedures"]) as owner:
        people, officer = await owner.fetchval(_PEOPLE), await owner.fetchval(_OFFICER)
    async with _owner(dsns["events_internet"]) as owner:
        offset = await owner.fetchval(_OFFSET)
    others = (uuid5(NAMESPACE_OID, f"resident {number}") for number in range(RESIDENTS - len(people)))
    persons = [*people, *others]
    step_ms = amount.days * 86_400_000 // amount.applications
    return (
        (HERE / "prelude.sql")
        .read_text(encoding="utf-8")
        .format(
            total=amount.applications,
            step_ms=step_ms,
            last_ms=int(time.time() * 1000) - 3_600_000,
            people="{" + ",".join(map(str, persons)) + "}",
            persons=len(persons),
            officer=officer,
            next_offset=offset,
        )
    )


async def _side_by_side(dsns: Mapping[str, str], tasks: Iterable[Task], tell: Tell) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(task: Task) -> None:
        async with turn, _owner(dsns[task.database]) as owner:
            began = time.monotonic()
            await owner.execute(task.statements)
            tell(f"{task.database}: {task.name}, {time.monotonic() - began:.1f} s")

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(run(task))


@asynccontextmanager
async def _owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        for setting in WORK:
            await connection.execute(setting)
        yield connection
    finally:
        await connection.close()
