"""Reading a raw package: one signed member holds the answers and binds every attachment by its SHA-256.

Nothing is read from anywhere else: a form PDF or a file that the signed member does not name is evidence, not content.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from town_kit.archives import Archive, inspect_document
from town_kit.idempotency import canonical, strict_json
from town_kit.problems import MalformedRequest, SignatureInvalid
from town_kit.raw_packages.profile import PackageProfile

SIGNED_LIMIT = 1024 * 1024
SIGNATURE_LIMIT = 64 * 1024
MOST_FILES = 50
UNREADABLE = "申請データの形式が決まりと違います。"


@dataclass(frozen=True, slots=True)
class PackedFile:
    """An attachment as the signed member names it; its bytes were found to match."""

    kind: str
    member: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """What a raw package says. ``signed`` are the bytes the signature is over; answers may hold My Numbers."""

    signed: bytes = field(repr=False)
    cms: bytes | None = field(repr=False)
    procedure_id: str
    municipality_code: str
    answers: Mapping[str, Any] = field(repr=False)
    files: tuple[PackedFile, ...]


def read_package(archive: Archive, profile: PackageProfile) -> Package:
    """The package in an archive that was opened safely; run it in a thread.

    Raises:
        MalformedRequest: the signed member is missing, too long, or not what the profile says.
        DuplicateMember: it names one member twice.
        SignatureInvalid: an attachment is not the one that was signed, or was not signed at all.
        DocumentUnsafe: an attachment is of another type than it says, or does something when opened.
    """
    names = profile.fields
    signed = _member(archive, profile.members.signed, SIGNED_LIMIT)
    if signed is None:
        raise MalformedRequest(UNREADABLE)
    document = _document(signed, profile)
    answers = document[names.answers]
    files = tuple(_file(entry, profile) for entry in _list(document[names.attachments]))
    if not isinstance(answers, dict):
        raise MalformedRequest(UNREADABLE)
    _check_members(archive, profile, files)
    for file in files:
        _check_content(archive, file)
    cms = _member(archive, profile.members.signature, SIGNATURE_LIMIT)
    return Package(
        signed=signed,
        cms=cms,
        procedure_id=_text(document[names.procedure_id]),
        municipality_code=_text(document[names.municipality_code]),
        answers=answers,
        files=files,
    )


def _member(archive: Archive, name: str, limit: int) -> bytes | None:
    if name not in archive.members:
        return None
    if archive.members[name].size > limit:
        raise MalformedRequest(UNREADABLE)
    return archive.read(name)


def _document(signed: bytes, profile: PackageProfile) -> dict[str, Any]:
    names = profile.fields
    known = {
        names.format,
        names.procedure_id,
        names.municipality_code,
        names.signed_at,
        names.answers,
        names.attachments,
    }
    document = strict_json(signed)
    if not isinstance(document, dict) or document.keys() != known or document[names.format] != names.format_value:
        raise MalformedRequest(UNREADABLE)
    if b"\\u0000" in canonical(document):  # PostgreSQL cannot hold NUL in JSON
        raise MalformedRequest(UNREADABLE)
    return document


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_FILES:
        raise MalformedRequest(UNREADABLE)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 255:
        raise MalformedRequest(UNREADABLE)
    return value


def _file(entry: Any, profile: PackageProfile) -> PackedFile:
    names = profile.attachment
    known = {names.kind, names.member, names.filename, names.media_type, names.size, names.sha256}
    if not isinstance(entry, dict) or entry.keys() != known:
        raise MalformedRequest(UNREADABLE)
    size = entry[names.size]
    if not isinstance(size, int) or isinstance(size, bool):
        raise MalformedRequest(UNREADABLE)
    return PackedFile(
        kind=_text(entry[names.kind]),
        member=_text(entry[names.member]),
        media_type=_text(entry[names.media_type]),
        size=size,
        sha256=_text(entry[names.sha256]).lower(),
    )


def _check_members(archive: Archive, profile: PackageProfile, files: tuple[PackedFile, ...]) -> None:
    named = [file.member for file in files]
    folder = profile.members.attachments_folder
    if len(set(named)) != len(named) or not all(member.startswith(folder) for member in named):
        raise MalformedRequest(UNREADABLE)
    carried = {name for name in archive.members if name.startswith(folder)}
    if carried != set(named):
        raise SignatureInvalid("添付書類が、署名された一覧と合いません。署名し直して送ってください。")


def _check_content(archive: Archive, file: PackedFile) -> None:
    digest = hashlib.sha256()
    for piece in archive.pieces(file.member):
        digest.update(piece)
    if digest.hexdigest() != file.sha256 or archive.members[file.member].size != file.size:
        raise SignatureInvalid("添付書類の中身が、署名されたときと違います。署名し直して送ってください。")
    content: IO[bytes] = io.BytesIO(archive.read(file.member))
    inspect_document(content, file.media_type)
