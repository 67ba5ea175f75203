"""`footprint`: what the whole town on one box needs: memory when idle, time to the first answer, time of a first run.

Memory is the sum of PSS (shared pages counted once) over every process of the town and of its PostgreSQL; the sandbox,
which stands for the outside world, is not counted. The reference of the memory is the sum of RSS of the same processes,
what they would need without sharing.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from tests.load.measure import Measure

SETTLE_SECONDS = 20.0
START_AT_MOST = 90.0
FIRST_RUN_AT_MOST = 600.0
ROOT = Path(__file__).parents[2]


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    return await asyncio.to_thread(_measure)


def _measure() -> list[Measure]:
    folder = Path(tempfile.mkdtemp(prefix="town-footprint-", dir="/var/tmp"))
    folder.chmod(0o755)
    directory = folder / "town"
    try:
        _start_once(directory)  # the first start makes secrets, cards and tables; "once installed" is the second
        started = _serve(directory)
        first_answer = _first_answer(directory, started[1])
        time.sleep(SETTLE_SECONDS)
        tree = [pid for pid in _tree(started[0].pid) if "town_sandbox" not in _command(pid)]
        pss, rss = _memory(tree, "Pss"), _memory(tree, "Rss")
        _stop(started[0])
        return [
            Measure("footprint.idle_mb", pss, "MB", rss, pss / rss),
            Measure("footprint.first_answer_s", first_answer, "s", None, None),
            Measure("footprint.first_run_s", _first_run(folder / "clone"), "s", None, None),
        ]
    finally:
        subprocess.run([sys.executable, "-m", "town_onebox", "reset", "--directory", str(directory)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _serve(directory: Path) -> tuple["subprocess.Popen[bytes]", float]:
    command = [sys.executable, "-m", "town_onebox", "serve", "--directory", str(directory)]
    command += ["--environment", "development", "--sandbox"]
    log = (directory.parent / "serve.log").open("wb")
    return subprocess.Popen(command, stdout=log, stderr=log), time.monotonic()


def _start_once(directory: Path) -> None:
    process, began = _serve(directory)
    _first_answer(directory, began)
    _stop(process)


def _first_answer(directory: Path, began: float) -> float:
    """Seconds until the gateway answers ``/readyz`` with 200."""
    ports = directory / "ports.json"
    while time.monotonic() - began < START_AT_MOST:
        try:
            port = json.loads(ports.read_text())["public"]
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200:
                return time.monotonic() - began
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            pass
        time.sleep(0.05)
    raise RuntimeError(f"no answer within {START_AT_MOST} s; see {directory}/logs")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def _tree(root: int) -> list[int]:
    """A process and everything it has started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _memory(pids: list[int], kind: str) -> float:
    """The sum of ``Pss`` or ``Rss`` of processes, in MB."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
    return total / 1024


def _first_run(clone: Path) -> float:
    """Seconds from a fresh clone (of what is committed) to the printed journey."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "VENV"}}
    began = time.monotonic()
    subprocess.run(
        ["make", "run", "ONCE=1"],
        cwd=clone,
        env=environment,
        check=True,
        timeout=FIRST_RUN_AT_MOST,
        stdout=subprocess.DEVNULL,
    )
    took = time.monotonic() - began
    subprocess.run(["make", "reset"], cwd=clone, env=environment, check=False, stdout=subprocess.DEVNULL)
    return took
