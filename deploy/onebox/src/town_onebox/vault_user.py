"""As whom the vault runs: a user of its own when the town was started as root, else the same one, which it says."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

from town_kit.db.server_files import Account

USER = "town-vault"


def account() -> tuple[Account, str]:
    """The vault's account and a sentence about what separates it."""
    here = Account(None, os.geteuid(), os.getegid())
    if os.geteuid() != 0:
        return here, "the vault is separated by its process alone (start as root for a user of its own)"
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return here, f"the vault is separated by its process alone (there is no user {USER})"
    own = Account(USER, entry.pw_uid, entry.pw_gid)
    if not _can_import(own):
        return here, f"the vault is separated by its process alone ({USER} cannot read {Path(sys.prefix)})"
    return own, f"the vault runs as {USER}"


def _can_import(own: Account) -> bool:
    """Whether that user can run this interpreter and read the town's code: not so when it lies under a closed home."""
    command = [sys.executable, "-c", "import town_standardization.main"]
    try:
        return subprocess.run(command, capture_output=True, check=False, **own.popen()).returncode == 0
    except PermissionError:  # it may not even begin
        return False
