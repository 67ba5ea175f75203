"""Started as root, the vault is a user of its own; the rest of the town is not that user."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from town_onebox import testing
from town_onebox.testing import RunningTown
from town_onebox.vault_user import USER

UID = 61_461
# What this town alone sees, in a mount namespace of its own: an /etc/passwd that knows the vault's user, and the
# interpreter, if it lies under a closed home, as if the home were open.
NAMESPACE = """
set -e
passwd=$1 closed=$2 prefix=$3; shift 3
mount --bind "$passwd" /etc/passwd
if [ -n "$closed" ]; then
  mkdir "$passwd.prefix"
  mount --bind "$prefix" "$passwd.prefix"
  mount -t tmpfs -o mode=0755 none "$closed"
  mkdir -p "$prefix"
  mount --move "$passwd.prefix" "$prefix"
fi
exec "$@"
"""
START = """
import os, sys
script, passwd, closed, prefix, directory = sys.argv[1:]
serve = [sys.executable, "-m", "town_onebox", "serve", "--zones", "MY_NUMBER", "--environment", "development"]
inside = ["sh", "-c", script, "sh", passwd, closed, prefix, *serve, "--directory", directory]
os.execvp("unshare", ["unshare", "--mount", *inside])
"""

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]


@pytest.fixture
def vault_town() -> Iterator[RunningTown]:
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user: run the tests as root to see this one")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace of our own can be made here")
    with testing.directory() as place:
        place.mkdir()
        (place / "town.yaml").write_text("town: {public_url: 'https://town.example'}\n")
        passwd = place.with_name("passwd")
        known = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith(f"{USER}:")]
        passwd.write_text("\n".join([*known, f"{USER}:x:{UID}:{UID}::/nonexistent:/usr/sbin/nologin", ""]))
        town = RunningTown(
            place, program=("-c", START, NAMESPACE, str(passwd), closed(), sys.base_prefix), doors=("vault", "vault")
        )
        try:
            yield town
        finally:
            assert town.stop() == 0


def test_the_vault_runs_as_its_own_user_and_its_key_is_that_users_alone(vault_town: RunningTown) -> None:
    told = (vault_town.place.directory.parent / "town.out").read_text()
    if f"the vault runs as {USER}" not in told:
        assert f"{USER} cannot read" in told, told
        pytest.skip(f"the code lies where no other user can read it ({sys.prefix}); the town says so and goes on")
    vault = vault_town.pid_of("vault")
    assert vault is not None
    assert ids(vault, "Uid") == ids(vault, "Gid") == {UID}
    assert ids(vault, "Groups") <= {UID}
    assert ids(vault_town.process_id, "Uid") == {0}
    key = vault_town.place.vault_private_key.stat()
    assert (key.st_uid, key.st_mode & 0o077) == (UID, 0)


def closed() -> str:
    """The outermost folder on the way to the interpreter that others cannot walk through, or nothing."""
    parents = [*reversed(Path(sys.base_prefix).parents)]
    return str(next((folder for folder in parents if not folder.stat().st_mode & 0o001), ""))


def ids(process: int, kind: str) -> set[int]:
    """The ids of a process: real, effective, saved and of the file system, or its groups."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return {int(number) for number in line.split()[1:]}
    raise AssertionError(f"no {kind} in its status")
