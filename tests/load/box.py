"""A whole town under a load: started in a process of its own, with the load generator as its last part.

The town runs as ``make run`` starts it, with durable PostgreSQL; it ends with its load generator. A town forks before
anything else runs, hence the process of its own.
"""

import asyncio
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import yaml
from rich.console import Console

from town_onebox import town as onebox
from town_onebox.assembly import Process, Town
from town_onebox.choices import Choices
from town_onebox.registry import BY_NAME
from town_onebox.serving import run as serve
from town_onebox.supervisor import Part

READY_SECONDS = 60.0
DRAIN_AT_MOST = 180.0
# The shared limits stay on; a town of 7,890 never asks this often, so the benchmark's callers get a larger share.
GENEROUS = {"quota": 1_000_000, "window": 60}
CALLERS = ("anonymous", "sign-in", "resident", "staff", "vendor", "service")


async def under_load(module: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """What ``load(town)`` of a module found in a new town.

    The module may also have ``beside(town)``, further parts that are started before the load, and ``WEB_PROCESSES``.
    """
    with directory(settings or {}) as town:
        return await asyncio.to_thread(loaded, module, town)


@contextmanager
def directory(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[Path]:
    """The directory of a town that is removed afterwards, with these settings and limits for a load's callers."""
    folder = Path(tempfile.mkdtemp(prefix="town-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    town = folder / "town"
    town.mkdir()
    limits = dict.fromkeys(CALLERS, GENEROUS)
    (town / "town.yaml").write_text(yaml.safe_dump({"gateway": {"rate_limits": limits}, **settings}))
    try:
        yield town
    finally:
        onebox.reset(town)
        shutil.rmtree(folder, ignore_errors=True)


def loaded(module: str, town: Path) -> dict[str, Any]:
    """Run the town of a directory with the load of a module, and stop it: what the load found."""
    result = town.parent / "load.json"
    result.unlink(missing_ok=True)
    code = subprocess.run(
        [sys.executable, "-m", "tests.load.box", module, str(town), str(result)], check=False
    ).returncode
    if code or not result.exists():
        raise RuntimeError(f"the loaded town ended with {code}\n{_last_lines(town / 'logs')}")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _last_lines(logs: Path) -> str:
    return "".join(f"== {path.name}\n{path.read_text()[-1500:]}\n" for path in sorted(logs.glob("*.log")))


def main(module: str, directory: str, result: str) -> int:
    """In the process of the town: start it and the load of ``module``."""
    bench: Any = importlib.import_module(module)

    def last(started: Town) -> list[Part]:
        async def body(_: asyncio.Event) -> None:
            await ready(started.public_url)
            Path(result).write_text(json.dumps(await bench.load(started)))

        beside = bench.beside(started) if hasattr(bench, "beside") else []
        return [*beside, Part("load", partial(serve, body), terminal=True, final=True)]

    choices = Choices(Path(directory), web_processes=getattr(bench, "WEB_PROCESSES", 2))
    return onebox.run(choices, Console(stderr=True, quiet=True), last)


async def ready(url: str) -> None:
    """Wait until whoever answers at ``url`` is ready."""
    give_up = time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as client:
        while time.monotonic() < give_up:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    raise RuntimeError(f"{url} did not get ready")


async def quiet_outside(town: Town) -> None:
    """Let the core systems not poll: they would share the town's cores here, as they do nowhere else."""
    address = town.sandbox_addresses()["core_system"]
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.post(f"{address}/_faults", json={"kind": "pause", "count": 1_000_000})
        answer.raise_for_status()


async def drained(town: Town, since: UUID = UUID(int=0)) -> None:
    """Wait until every event is in its log, every consumer has done it, and no delivery or job is left.

    Args:
        town: the town.
        since: only what consumers did for ids behind it is compared, because an outbox forgets after 14 days and an
            inbox never does; ids begin with their time.
    """
    give_up = time.monotonic() + DRAIN_AT_MOST
    while time.monotonic() < give_up:
        if await _nothing_left(town, since):
            return
        await asyncio.sleep(0.25)
    raise RuntimeError(f"effects were still missing {DRAIN_AT_MOST} s after the last call")


TOLD = """SELECT coalesce(sum(sequence), 0) FROM (SELECT max(sequence) AS sequence FROM outbox
    WHERE topic = 'procedures.applications' AND key > $1 GROUP BY key) AS last"""
BEHIND = """SELECT count(*) FROM (SELECT coalesce(sum(sequence) FILTER (WHERE key > $2), 0) AS done FROM inbox
    WHERE topic = 'procedures.applications' GROUP BY consumer) AS c WHERE c.done < $1"""


async def _nothing_left(town: Town, since: UUID) -> bool:
    """Whether everything has its effect; what reads whole tables is asked last, for it slows down what it awaits."""
    for service, table in (
        *((service, "outbox WHERE published_at IS NULL") for service in BY_NAME),
        *((service, "audit_pending") for service in BY_NAME),
        ("standardization", "hand_overs WHERE state = 'waiting'"),
        ("notifications", "deliveries WHERE state IN ('queued', 'sending')"),
        ("procedures", "applications WHERE receipt_serial IS NULL AND state <> 'pending_verification'"),
    ):
        if await value(town, service, f"SELECT count(*) FROM {table}"):
            return False
    told = await value(town, "procedures", TOLD, since)
    for service in BY_NAME:
        if await value(town, service, BEHIND, told, since):
            return False
    return True


async def value(town: Town, service: str, query: str, *arguments: Any) -> Any:
    """The one value of a query, read as a service reads."""
    return (await rows(town, service, query, *arguments))[0][0]


async def rows(town: Town, service: str, query: str, *arguments: Any) -> list[Any]:
    """The rows of a query, read as a service reads."""
    url = town.values(BY_NAME[service], Process.WORKER)["database_url"]
    connection = await asyncpg.connect(str(url).replace("postgresql+asyncpg://", "postgresql://"))
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('town.role', 'service', true)")
            found: list[Any] = await connection.fetch(query, *arguments)
            return found
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
