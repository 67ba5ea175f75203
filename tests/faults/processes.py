"""What is done to the processes of the town: killed, stopped, doubled, started again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from tests.faults.town import Ground

from town_kit.db.server_files import account_for_server, data_directory
from town_onebox.registry import BY_NAME

TAKES_A_MOMENT = 40.0


async def until(condition: Callable[[], object], what: str, within: float = TAKES_A_MOMENT) -> None:
    """Wait until something is so; raises ``TimeoutError``, which says what was not."""
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


async def pid_of(ground: Ground, part: str) -> int:
    """The process of a part, waiting while it is being started."""
    await until(lambda: ground.town.pid_of(part), f"{part} does not run")
    found = ground.town.pid_of(part)
    return found if found is not None else await pid_of(ground, part)


async def send(ground: Ground, part: str, kind: signal.Signals) -> int:
    """A signal to a part; its process."""
    pid = await pid_of(ground, part)
    os.kill(pid, kind)
    return pid


async def kill(ground: Ground, part: str) -> None:
    """SIGKILL a part."""
    await send(ground, part, signal.SIGKILL)


async def restart(ground: Ground, part: str) -> None:
    """End a part in order and wait until another process has taken its place; one that serves, until it answers."""
    before = await send(ground, part, signal.SIGTERM)
    await until(lambda: ground.town.pid_of(part) not in (None, before), f"{part} did not come back")
    service, _, role = part.rpartition("-")
    if role == "serve":
        await ready(ground, service, path="/livez")


async def ready(ground: Ground, service: str, within: float = TAKES_A_MOMENT, path: str = "/readyz") -> None:
    """Wait until a service answers; raises ``TimeoutError``."""
    port = json.loads(ground.town.place.ports.read_text())[service]
    give_up = time.monotonic() + within
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=2, trust_env=False) as client:
        while time.monotonic() < give_up:
            try:
                if (await client.get(path)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)
    raise TimeoutError(f"{service} does not answer")


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def postmaster(ground: Ground) -> int:
    """PostgreSQL's first process."""
    data = data_directory(ground.town.place.postgres, account_for_server())
    return int((data / "postmaster.pid").read_text().splitlines()[0])


@asynccontextmanager
async def second(ground: Ground, service: str) -> AsyncIterator[None]:
    """One more worker of a service beside the one that is watched over; killed at the end."""
    entry, place = BY_NAME[service], ground.town.place
    folder = place.vault if entry.vault else place.environments
    lines = (line.partition("=") for line in (folder / f"{service}-work.env").read_text().splitlines())
    module, _, app = entry.command.partition(":")
    with (place.logs / f"{service}-second.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {module} import {app} as app; app()", "work"],
            env={**os.environ, **{name: value for name, _, value in lines}},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
