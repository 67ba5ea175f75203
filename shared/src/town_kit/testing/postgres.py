"""One PostgreSQL server for all tests that run at the same time, and databases of its own for each test worker.

The server belongs to a keeper process. Each pytest process (an xdist worker too) holds a shared lock on one file; the
keeper waits for the exclusive one, and when it gets it nobody is left: it stops the server and goes. So a killed test
run leaves no server behind.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest

from town_kit.db import migrations, provision, server

PASSWORD = "test"  # noqa: S105 - of roles on a loopback server that lives as long as the tests
START_SECONDS = 90.0


class PostgresServer:
    """The server of this test run.

    Attributes:
        admin_dsn: the superuser's DSN; for provisioning and for tests that must see through row security.
    """

    def __init__(self, admin_dsn: str, prefix: str) -> None:
        self.admin_dsn = admin_dsn
        self._prefix = prefix
        self._made: dict[str, provision.DatabaseUrls] = {}

    def create_database(self, name: str, migrations_folder: Path | None = None) -> provision.DatabaseUrls:
        """The database ``name`` of this test worker, made and migrated at the first call.

        Args:
            name: such as ``procedures``; the real name also carries the worker's.
            migrations_folder: the service's ``migrations``, brought to head.
        """
        if name not in self._made:
            urls = run(
                provision.database(
                    self.admin_dsn, f"{self._prefix}_{name}", owner_password=PASSWORD, app_password=PASSWORD
                )
            )
            if migrations_folder is not None:
                in_thread(migrations.upgrade, urls.owner_url, migrations_folder)
            self._made[name] = urls
        return self._made[name]

    def drop_databases(self) -> None:
        """Remove this worker's databases and roles."""
        run(_drop(self.admin_dsn, [urls.name for urls in self._made.values()]))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end on a loop of its own, whether or not a loop is running here."""
    return in_thread(asyncio.run, coroutine)


def in_thread(function: Any, *arguments: Any) -> Any:
    """Call a blocking function in a thread, where it may start a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


async def _drop(admin_dsn: str, names: list[str]) -> None:
    import asyncpg

    admin = await asyncpg.connect(admin_dsn)
    try:
        for name in names:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await admin.execute(f'DROP ROLE IF EXISTS "{name}_owner", "{name}_app"')
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def postgres_server(worker_id: str) -> Iterator[PostgresServer]:
    """A real PostgreSQL server; ``create_database(name, migrations)`` gives this worker a database on it."""
    directory = _directory()
    with (directory / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper is stopping
        started = PostgresServer(_admin_dsn(directory), f"t{os.getpid()}_{worker_id}")
        try:
            yield started
        finally:
            started.drop_databases()


def _directory() -> Path:
    here = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:10]
    directory = Path(tempfile.gettempdir()) / f"town-tests-{os.geteuid()}-{here}"
    directory.mkdir(mode=0o755, exist_ok=True)
    if directory.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{directory} belongs to somebody else: remove it")
    return directory


def _admin_dsn(directory: Path) -> str:
    """The DSN the keeper wrote; starts a keeper when there is none."""
    state = directory / "state.json"
    with (directory / "start.lock").open("a") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if not (_kept(directory) and state.exists()):
            state.unlink(missing_ok=True)
            with (directory / "keeper.log").open("ab") as log:
                keeper = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-m", __name__, str(directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            give_up = time.monotonic() + START_SECONDS
            while not state.exists():
                if keeper.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError((directory / "keeper.log").read_text()[-3000:])
                time.sleep(0.02)
    return str(json.loads(state.read_text())["admin_dsn"])


def _kept(directory: Path) -> bool:
    """Whether a keeper lives: it holds this lock until it ends, however it ends."""
    with (directory / "keeper.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def keep(directory: Path) -> None:
    """The keeper: a fresh server until nobody uses it."""
    alone: IO[str]
    with (directory / "keeper.lock").open("a") as alone, (directory / "users.lock").open("a") as users:
        fcntl.flock(alone, fcntl.LOCK_EX)
        shutil.rmtree(directory / "server", ignore_errors=True)
        running = server.start(directory / "server", fast=True)
        state = directory / "state.json"
        try:
            fresh = state.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps({"admin_dsn": running.admin_dsn, "port": running.port}))
            fresh.rename(state)
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            state.unlink(missing_ok=True)
            running.stop()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
