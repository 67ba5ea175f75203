"""The keys of a town as a copy of their own (鍵の控え): without them a backup says nothing, with them it says all."""

import json
import os
import shutil
from pathlib import Path

from town_kit.db.server_files import Account
from town_onebox.place import Place
from town_onebox.recovery import manifest
from town_onebox.recovery.manifest import BackupUnsound

FILE = "keys.json"


def _sources(place: Place) -> list[Path]:
    wanted = [
        place.secrets,
        place.keys,
        place.vault,
        place.vault_public_key,
        place.clients,
        place.directory / "town.yaml",
        place.served,
        place.postgres / "postgres.password",
        place.ports,
    ]
    return [one for path in wanted for one in (sorted(path.rglob("*")) if path.is_dir() else [path]) if one.is_file()]


def fingerprint(place: Place) -> str:
    """Which keys a town has: the hash of the vault's public key."""
    return manifest.sha256(place.vault_public_key)


def copy(place: Place, into: Path) -> int:
    """Copy every secret into ``into`` (0700), each file for this user alone; how many files."""
    into.mkdir(mode=0o700)
    names = []
    for path in _sources(place):
        name = path.relative_to(place.directory).as_posix()
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(path.read_bytes())
        names.append(name)
    held = {name: entry.model_dump() for name, entry in manifest.files_of(into, names).items()}
    (into / FILE).write_text(json.dumps(held, indent=2))
    return len(names)


def lay_out(folder: Path, place: Place, fingerprint_of: str, vault: Account) -> None:
    """Put the keys where a town expects them; ``fingerprint_of`` says which keys they have to be.

    Raises:
        BackupUnsound: they are incomplete, or those of another town.
    """
    try:
        held = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        raise BackupUnsound(f"{folder} に鍵の控えがありません。") from None
    files = {name: manifest.FileEntry.model_validate(entry) for name, entry in held.items()}
    manifest.check(folder, files)
    public = place.vault_public_key.relative_to(place.directory).as_posix()
    if files[public].sha256 != fingerprint_of:
        raise BackupUnsound("鍵の控えが、この控えのものではありません。同じ町・同じ時期の鍵を使ってください。")
    place.make()
    for name in files:
        target = place.directory / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(folder / name, target)
        target.chmod(0o644 if name == public else 0o600)
    place.postgres.chmod(0o755)  # the server's own account walks through it
    for path in (place.vault, *place.vault.rglob("*")):
        vault.give(path)
