"""The secrets of a town that runs in containers: ``python -m town_onebox.bundle DIRECTORY`` makes what is missing.

For each service a folder with ``settings.env`` (what only it may know), ``owner.env`` (for its migrations) and
``files`` (keys); beside them ``passwords`` for PostgreSQL. Compose mounts these folders; a cluster gets them as
Secrets. Run again it changes nothing that was made; keep a copy where the backups are.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from town_kit.db.server import dsn, sqlalchemy_url
from town_kit.db.server_files import Account
from town_kit.settings import service_prefix
from town_onebox import clients, secrets
from town_onebox.place import Place
from town_onebox.registry import ENTRIES
from town_onebox.secrets import Keys, Passwords

POSTGRES = "postgres"


def write(directory: Path, server: tuple[str, int], anchor: str | None = None) -> None:
    """Make the secrets below ``directory`` and lay them out, one folder per service.

    Args:
        directory: is made, for its owner alone; what lies in it is readable by whatever user a container has.
        server: host and port of PostgreSQL as the services see it.
        anchor: where the heads of the audit chains are kept; no service starts in production without it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    place = Place(directory / "made")
    made = secrets.prepare(place)
    vault = secrets.prepare_vault(place, Account(None, os.geteuid(), os.getegid()))
    clients.write(place, sandbox=False)
    databases = {**made.databases, **vault.databases}
    keys = {**made.services, secrets.VAULT_SERVICE: vault.keys}
    kept = {"audit_anchor": anchor} if anchor else {}
    _passwords(directory / "passwords", databases, made.backup_password)
    for entry in ENTRIES:
        folder = directory / entry.name
        (folder / "files").mkdir(parents=True, exist_ok=True)
        prefix, passwords = service_prefix(entry.name), databases[entry.name]
        _environment(folder / "settings.env", prefix, _settings(entry.name, server, passwords, keys[entry.name]) | kept)
        owner = sqlalchemy_url(dsn(*server, f"{entry.name}_owner", passwords.owner, entry.name))
        _environment(folder / "owner.env", prefix, {"owner_url": owner})
        for name, source in _files(place, entry.name).items():
            _file(folder / "files" / name, source.read_text(encoding="utf-8"))
    ring = directory / "identity" / "key-ring"
    if not ring.exists():  # later it is rotated in its own place
        ring.mkdir()
        for source in place.key_ring.iterdir():
            _file(ring / source.name, source.read_text(encoding="utf-8"))


def _settings(name: str, server: tuple[str, int], passwords: Passwords, keys: Keys) -> dict[str, str]:
    url = sqlalchemy_url(dsn(*server, f"{name}_app", passwords.app, name))
    return {"database_url": url, "key_encryption_key": keys.key_encryption_key, "digest_key": keys.digest_key}


def _files(place: Place, name: str) -> dict[str, Path]:
    """The files a service reads, by the name under which it finds them."""
    found = {"client.pem": secrets.client_key(place, name)} if name in secrets.CLIENTS else {}
    match name:
        case "identity":
            found["clients.yaml"] = place.clients
        case "procedures":
            found["vault-public-key.json"] = place.vault_public_key
        case secrets.VAULT_SERVICE:
            found["vault-private-key.pem"] = place.vault_private_key
    return found


def _passwords(folder: Path, databases: Mapping[str, Passwords], superuser: str) -> None:
    folder.mkdir(exist_ok=True)
    _file(folder / POSTGRES, superuser)
    for name, passwords in databases.items():
        _file(folder / f"{name}_owner", passwords.owner)
        _file(folder / f"{name}_app", passwords.app)


def _environment(path: Path, prefix: str, values: Mapping[str, str]) -> None:
    _file(path, "".join(f"{prefix}{name.upper()}={value}\n" for name, value in values.items()))


def _file(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    path.chmod(0o644)


def main() -> None:
    """Read the arguments and write."""
    parser = argparse.ArgumentParser(description="Make the secrets of a town that runs in containers.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--database", default="database:5432", help="host:port of PostgreSQL as the services see it")
    parser.add_argument("--anchor", help="where the heads of the audit chains are kept (https://…); for production")
    chosen = parser.parse_args()
    host, _, port = chosen.database.rpartition(":")
    write(chosen.directory.resolve(), (host, int(port)), chosen.anchor)
    print(f"secrets of the town: {chosen.directory}")


if __name__ == "__main__":
    main()
