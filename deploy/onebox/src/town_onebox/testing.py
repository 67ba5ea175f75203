"""A whole town for tests: started as a program, looked into through its directory, its databases and the sandbox."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import asyncpg
import httpx

from town_kit import failpoints
from town_kit.db import server
from town_onebox import secrets
from town_onebox import town as onebox
from town_onebox.assembly import Town
from town_onebox.place import Place

START_SECONDS = 90.0
JOURNEY_SECONDS = 240.0
STOP_SECONDS = 60.0


@contextmanager
def directory() -> Iterator[Path]:
    """A directory for a town that PostgreSQL's user can walk to, unlike pytest's own; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="town-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder / "town"
        onebox.reset(folder / "town")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def journey(
    place: Path, *options: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """``run --once``: the exit code, and what a person sees."""
    return subprocess.run(
        [sys.executable, "-m", "town_onebox", "run", "--directory", str(place), "--once", *options],
        capture_output=True,
        text=True,
        timeout=JOURNEY_SECONDS,
        check=False,
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
    )


def logs(place: Path) -> str:
    """The last lines of every log, for the message of a failed test."""
    return "".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted((place / "logs").glob("*.log")))


def town_of(place: Path, doors: Sequence[str], *, started_at: float = 0.0) -> Town:
    """The addresses and secrets of a town that serves from ``place``; ``doors`` as for :class:`RunningTown`."""
    where = Place(place)
    ports = json.loads(where.ports.read_text())
    return Town(
        place=where,
        secrets=secrets.read(where),
        server=(server.HOST, int((where.postgres / "postgres.port").read_text())),
        public_url=f"http://127.0.0.1:{ports[doors[0]]}",
        vault_url=f"http://127.0.0.1:{ports[doors[1]]}",
        sandbox=True,
        started_at=started_at,
    )


SERVE = ("-m", "town_onebox", "serve", "--sandbox", "--environment", "development", "--directory")


class RunningTown:
    """A town that serves (``serve --sandbox``) on a directory, new or one that was used before.

    Args:
        place: its directory.
        environment: added to its environment.
        program: another program that serves a town; its last argument is the directory.
        doors: the names under which ``ports.json`` knows the ports of the gateway and of the vault.

    Attributes:
        town: its addresses and secrets, as the journey knows them.
    """

    def __init__(
        self,
        place: Path,
        environment: Mapping[str, str] | None = None,
        *,
        program: Sequence[str] = SERVE,
        doors: tuple[str, str] = ("public", "vault"),
    ) -> None:
        self.place = Place(place)
        self.failpoints = place.with_name("failpoints")
        self.failpoints.mkdir(exist_ok=True)
        began = time.time()
        with (place.parent / "town.out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *program, str(place)],
                env={**os.environ, failpoints.FOLDER: str(self.failpoints), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self._wait(doors)
        except BaseException:
            self.stop()
            raise
        self.town = town_of(place, doors, started_at=began)

    def _wait(self, doors: Sequence[str]) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not all(self._is_ready(name) for name in doors):
            if self._process.poll() is not None or time.monotonic() > give_up:
                told = (self.place.directory.parent / "town.out").read_text()[-3000:]
                raise RuntimeError(f"the town did not get ready\n{told}\n{logs(self.place.directory)}")
            time.sleep(0.1)

    def _is_ready(self, port: str) -> bool:
        try:
            address = f"http://127.0.0.1:{json.loads(self.place.ports.read_text())[port]}"
            return httpx.get(f"{address}/readyz", timeout=2, trust_env=False).is_success
        except (httpx.HTTPError, OSError, ValueError, KeyError):
            return False

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    @property
    def process_id(self) -> int:
        """The supervisor's process."""
        return self._process.pid

    def pid_of(self, part: str) -> int | None:
        """The process of a part (``web-1``, ``worker``), known by the log it writes; None while it is restarted."""
        log = str(self.place.logs / f"{part}.log")
        parent = self._process.pid
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            try:
                if os.readlink(f"/proc/{child}/fd/1") == log:
                    return int(child)
            except OSError:
                continue
        return None

    def kill(self, part: str) -> bool:
        """SIGKILL one part; False when it was being restarted."""
        pid = self.pid_of(part)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    @contextmanager
    def paused(self, part: str) -> Iterator[None]:
        """One part neither answers nor works; afterwards it is killed and started again, as an operator would."""
        pid = self.pid_of(part)
        assert pid is not None, f"{part} does not run"
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def without(self, counterpart: str) -> Iterator[None]:
        """A counterpart of the sandbox answers 503 to everything."""
        control = self.town.sandbox_addresses()[counterpart]
        fault = {"kind": "unavailable", "count": 1_000_000}
        httpx.post(f"{control}/_faults", json=fault, trust_env=False).raise_for_status()
        try:
            yield
        finally:
            httpx.delete(f"{control}/_faults", trust_env=False).raise_for_status()

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """``town_onebox service …``: a command of a service, as the runbooks write it."""
        command = [sys.executable, "-m", "town_onebox", "service", "--directory", str(self.place.directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def arm(self, failpoint: str) -> Path:
        """The next process that reaches ``failpoint`` dies there; the file that goes when it did."""
        armed = self.failpoints / failpoint
        armed.touch()
        return armed

    async def connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        """A superuser's connection: it sees every row, whatever row security says."""
        password = (self.place.postgres / "postgres.password").read_text().strip()
        host, port = self.town.server
        return await asyncpg.connect(server.dsn(host, port, server.ADMIN, password, database))

    async def rows(self, database: str, query: str, *arguments: Any) -> list[Any]:
        """The rows of a query; of one column, its values."""
        connection = await self.connect(database)
        try:
            found = await connection.fetch(query, *arguments)
        finally:
            await connection.close()
        return [row[0] if len(row) == 1 else tuple(row) for row in found]

    def ledger(self, counterpart: str, kind: str) -> list[dict[str, Any]]:
        """What reached a counterpart of the sandbox, by kind of entry."""
        lines = (self.place.sandbox / f"{counterpart}.jsonl").read_text(encoding="utf-8").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


class Collector:
    """An OpenTelemetry collector that keeps the bytes it was sent (OTLP over HTTP).

    Attributes:
        address: for ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        bodies: what was sent, as it came.
    """

    def __init__(self) -> None:
        bodies = self.bodies = list[bytes]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def until(condition: Callable[[], Any], *, within: float, every: float = 0.05) -> Any:
    """Wait until ``condition()`` is true and answer it; raises ``TimeoutError``."""
    give_up = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"did not happen within {within} s")
        time.sleep(every)
    return value
