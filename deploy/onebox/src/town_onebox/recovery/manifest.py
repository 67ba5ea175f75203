"""The manifest of a backup (控えの目録): what it holds, from when it is, and the SHA-256 of every file."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

FILE = "manifest.json"
FORMAT = 1
PIECE = 1024 * 1024


class BackupUnsound(RuntimeError):
    """A backup is not what its manifest says; nothing was restored."""


class FileEntry(BaseModel, frozen=True):
    """One file of a backup."""

    bytes: int
    sha256: str


class Audit(BaseModel, frozen=True):
    """The chain of one service: how many links, and its head."""

    links: int
    head: str


class Contents(BaseModel, frozen=True):
    """One database: size, revision of its schema, rows of each table, and its audit chain where it has one."""

    bytes: int
    revision: str | None
    tables: dict[str, int]
    audit: Audit | None


class Manifest(BaseModel, frozen=True):
    """``manifest.json``. ``vault_key`` tells with which keys the backup can be read; it is the hash of a public one."""

    format: int
    taken_at: datetime
    postgres: str
    vault_key: str
    files: dict[str, FileEntry]
    databases: dict[str, Contents]


def files_of(folder: Path, names: Iterable[str]) -> dict[str, FileEntry]:
    """Size and hash of files in a folder."""
    return {name: FileEntry(bytes=(folder / name).stat().st_size, sha256=sha256(folder / name)) for name in names}


def sha256(path: Path) -> str:
    """The hash of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def read(folder: Path) -> Manifest:
    """The manifest of a backup, whose files were compared with it.

    Raises:
        BackupUnsound: there is none, it is of another format, or a file is missing or another one.
    """
    try:
        found = Manifest.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        raise BackupUnsound(f"{folder} に目録(manifest.json)がありません。作りかけの控えは使えません。") from None
    except ValidationError:
        raise BackupUnsound(f"{folder} の目録を読めません。") from None
    if found.format != FORMAT:
        raise BackupUnsound(f"目録の形式 {found.format} は、この版では読めません。")
    check(folder, found.files)
    return found


def check(folder: Path, files: dict[str, FileEntry]) -> None:
    """Compare files with their entries.

    Raises:
        BackupUnsound: one is missing or another one.
    """
    for name, entry in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry.bytes or sha256(path) != entry.sha256:
            raise BackupUnsound(f"控えのファイルが目録と違います: {name}。別の日の控えを使ってください。")


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest last, as a whole: a backup without one was not finished."""
    fresh = folder / (FILE + ".new")
    fresh.write_text(json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=2), encoding="utf-8")
    fresh.replace(folder / FILE)
