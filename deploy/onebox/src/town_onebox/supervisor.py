"""The supervisor (監視プロセス): forks the processes of the town and keeps them running.

It has imported everything and is single-threaded; it holds no loop, no connection and no telemetry, so that what is
forked from it starts clean. Listening sockets are bound before the fork and stay open here: while a killed child is
being replaced, its callers wait in the socket's queue instead of being refused.
"""

import gc
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from town_kit.db.server import die_with_parent
from town_kit.db.server_files import Account

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
HEALTHY_AFTER = 60.0
STOP_SECONDS = 20.0
TICK = 0.5


@dataclass(frozen=True)
class Part:
    """One process of the town.

    Attributes:
        name: of the process and of its log.
        body: what a forked child runs; its result is the exit code. Or:
        command: what is started as a program, with ``environment`` beside the supervisor's own.
        nice: added to the priority; 10 for background work.
        terminal: it writes to the terminal instead of its log.
        final: it ends by itself, and the town ends with its exit code.
        stops_last: it is stopped after the others (the outside world, a broker).
    """

    name: str
    body: Callable[[], int | None] | None = None
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    nice: int = 0
    terminal: bool = False
    final: bool = False
    stops_last: bool = False


@dataclass
class _Running:
    part: Part
    pid: int = 0
    process: "subprocess.Popen[bytes] | None" = None  # kept: Python would otherwise reap the child behind our back
    started_at: float = 0.0
    pause: float = SHORTEST_PAUSE
    start_at: float = 0.0


class Supervisor:
    """Runs parts until a signal, or until a final part ends.

    Args:
        parts: in the order of their start.
        logs: folder of the logs.
        watch: called at each tick; for what is watched otherwise, such as the database server.
        longest_pause: seconds before a part that ended again and again is started once more.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        logs: Path,
        watch: Callable[[], None] = lambda: None,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._running = [_Running(part) for part in parts]
        self._logs = logs
        self._watch = watch
        self._longest_pause = longest_pause
        self._stopping = False
        self._result = 0

    def run(self) -> int:
        """Start everything and wait; the exit code of the town."""
        gc.collect()
        gc.freeze()
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(kind, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            while not self._stopping:
                self._start_due()
                if select.select([reading], [], [], TICK)[0]:
                    os.read(reading, 4096)
                self._reap()
                self._watch()
        finally:
            self._stop_all()
        return self._result

    def _stop(self, kind: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self._stopping = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for one in self._running:
            if not one.pid and now >= one.start_at:
                one.started_at = now
                if one.part.command:
                    one.process = self._execute(one.part)
                    one.pid = one.process.pid
                else:
                    one.pid = self._fork(one.part)

    def _execute(self, part: Part) -> "subprocess.Popen[bytes]":
        with (self._logs / f"{part.name}.log").open("ab") as log:
            return subprocess.Popen(
                list(part.command),
                env={**os.environ, **part.environment},
                stdin=subprocess.DEVNULL,
                stdout=None if part.terminal else log,
                stderr=None if part.terminal else log,
                process_group=0,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    def _fork(self, part: Part) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            code = _child(part, self._logs, parent)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        now = time.monotonic()
        for one in self._running:
            if not one.pid:
                continue
            pid, status = os.waitpid(one.pid, os.WNOHANG)
            if not pid:
                continue
            code = os.waitstatus_to_exitcode(status)
            _ended(one, code)
            if one.part.final:
                self._stopping, self._result = True, code
                return
            if now - one.started_at > HEALTHY_AFTER:
                one.pause = SHORTEST_PAUSE
            one.start_at = now + one.pause
            log = self._logs / f"{one.part.name}.log"
            message = f"[town] {one.part.name} ended ({code}); again in {one.pause:.1f} s; see {log}"
            print(message, file=sys.stderr, flush=True)
            one.pause = min(one.pause * 2, self._longest_pause)

    def _stop_all(self) -> None:
        for last in (False, True):
            group = [one for one in self._running if one.pid and one.part.stops_last is last]
            for one in group:
                _signal(one.pid, signal.SIGTERM)
            give_up = time.monotonic() + STOP_SECONDS
            while any(one.pid for one in group) and time.monotonic() < give_up:
                _collect(group)
                time.sleep(0.02)
            for one in group:
                if one.pid:
                    _signal(one.pid, signal.SIGKILL)
                    _ended(one, os.waitstatus_to_exitcode(os.waitpid(one.pid, 0)[1]))


def _collect(group: Sequence[_Running]) -> None:
    for one in group:
        if one.pid:
            pid, status = os.waitpid(one.pid, os.WNOHANG)
            if pid:
                _ended(one, os.waitstatus_to_exitcode(status))


def _ended(one: _Running, code: int) -> None:
    one.pid = 0
    if one.process is not None:
        one.process.returncode = code


def _signal(pid: int, kind: signal.Signals) -> None:
    try:
        os.kill(pid, kind)
    except ProcessLookupError:
        return


def _child(part: Part, logs: Path, parent: int) -> int:
    """The first steps of a forked child, and its body."""
    signal.set_wakeup_fd(-1)
    for kind in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(kind, signal.SIG_DFL)  # uvicorn raises a caught signal again, into the handler it found
    # Ctrl-C in the terminal reaches the supervisor alone. Not a session of its own: where the kernel groups processes
    # by session (autogroup), a niceness counts only inside one, and the worker would take a third of the machine.
    os.setpgid(0, 0)
    if not part.terminal:
        log = os.open(logs / f"{part.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
    if part.nice:
        os.nice(part.nice)
    end_with_parent()
    if os.getppid() != parent:
        return 1
    assert part.body is not None
    return part.body() or 0


def end_with_parent() -> None:
    """Get SIGTERM when the supervisor dies; Linux only."""
    last_wish = die_with_parent(signal.SIGTERM)
    if last_wish is not None:
        last_wish()


def become(account: Account) -> None:
    """Run as ``account`` from here on, with a home of its own: asyncpg would look into the old one."""
    if account.name is None:
        return
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    os.environ["HOME"] = "/nonexistent"
    end_with_parent()  # changing the user made the kernel forget
