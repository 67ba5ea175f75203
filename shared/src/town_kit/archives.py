"""Files from outside, opened safely: ZIP archives, and a look at what a file really is.

What a file says of itself (its name, its size, its type) is a claim. Bytes are counted while they are inflated, types
are found by looking, and whatever cannot be judged is refused.
"""

import codecs
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from town_kit.pdf import inspect_pdf
from town_kit.problems import ArchiveUnsafe, DocumentUnsafe

PIECE = 64 * 1024
HEAD = 4096
CSV = "text/csv"
_IN_MEMORY = 4 * 1024 * 1024
_ENCRYPTED = 0x1
_STORED_OR_DEFLATED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

# What a file begins with → its media type.
SIGNATURES: Sequence[tuple[int, bytes, str]] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (2, b"-lh", "application/x-lzh"),
    (257, b"ustar", "application/x-tar"),
)
ARCHIVES = frozenset(media for _, _, media in SIGNATURES if not media.startswith(("image/", "application/pdf")))
_NOT_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")  # what the codec makes of bytes that stand for nothing
_DECLARATION = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may hold. Sizes are bytes after decompression, counted while inflating."""

    total: int = 50 * 1024 * 1024
    each: int = 20 * 1024 * 1024
    entries: int = 1_000
    ratio: int = 100
    name_length: int = 255


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name as decoded, its real size, and its type as found by looking."""

    name: str
    size: int
    media_type: str | None
    _start: int


class Archive:
    """A checked archive; see :func:`open_archive`."""

    def __init__(self, members: Sequence[Member], content: IO[bytes]) -> None:
        self.members: Mapping[str, Member] = {member.name: member for member in members}
        self._content = content

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            KeyError: there is no such member.
        """
        member = self.members[name]
        self._content.seek(member._start)
        return self._content.read(member.size)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a member in pieces of 64 KiB."""
        member = self.members[name]
        done = 0
        while done < member.size:
            self._content.seek(member._start + done)
            piece = self._content.read(min(PIECE, member.size - done))
            done += len(piece)
            yield piece


@contextmanager
def open_archive(file: IO[bytes], limits: Limits | None = None) -> Iterator[Archive]:
    """Check a ZIP archive whole and give its members; run it in a thread.

    Names without the UTF-8 flag are read as CP932, as Japanese Windows writes them. Directories are passed over.

    Args:
        file: a seekable file with the archive and nothing else.
        limits: how much it may hold.

    Raises:
        ArchiveUnsafe: it is no ZIP archive, is damaged or encrypted, goes over a limit, or has a member whose name is
            absolute, climbs (``..``) or stands twice, that is a link or itself an archive, or that overlaps another.
    """
    limits = limits or Limits()
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as content:
        try:
            with zipfile.ZipFile(file, metadata_encoding="cp932") as archive:
                entries = _checked_entries(archive, file, limits)
                members = _inflate_all(archive, entries, content, limits)
        except (
            zipfile.BadZipFile,
            zlib.error,
            struct.error,
            UnicodeDecodeError,
            NotImplementedError,
            EOFError,
            OverflowError,
            ValueError,
        ) as error:
            raise ArchiveUnsafe("ZIPファイルが壊れているか、扱えない形式です。作り直して送ってください。") from error
        yield Archive(members, content)


def _checked_entries(archive: zipfile.ZipFile, file: IO[bytes], limits: Limits) -> list[tuple[str, zipfile.ZipInfo]]:
    infos = archive.infolist()
    if len(infos) > limits.entries:
        raise ArchiveUnsafe(f"ファイルの数は {limits.entries} までです。")
    _check_layout(infos, file)
    names: set[str] = set()
    entries = []
    for info in infos:
        name = _safe_name(info, limits)
        if name.casefold() in names:
            raise ArchiveUnsafe("同じ名前のファイルが二つあります。名前を変えて作り直してください。")
        names.add(name.casefold())
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise ArchiveUnsafe("リンクなど、通常のファイルでないものが入っています。取り除いて作り直してください。")
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveUnsafe("パスワード付きのファイルは受け付けていません。パスワードを外して送ってください。")
        if info.compress_type not in _STORED_OR_DEFLATED:
            raise ArchiveUnsafe("この圧縮方式は受け付けていません。標準のZIP形式で作り直してください。")
        if not info.is_dir():
            entries.append((name, info))
        elif info.file_size or info.compress_size:
            raise ArchiveUnsafe("ZIPファイルの構造が正しくありません。作り直して送ってください。")
    return entries


def _check_layout(infos: Sequence[zipfile.ZipInfo], file: IO[bytes]) -> None:
    """Members follow one another from the first byte on; overlapping ones would count the same bytes many times."""
    end = 0
    for index, info in enumerate(sorted(infos, key=lambda info: info.header_offset)):
        if info.header_offset < end or (index == 0 and info.header_offset != 0):
            raise ArchiveUnsafe("ZIPファイルの構造が正しくありません。作り直して送ってください。")
        file.seek(info.header_offset)
        header = file.read(30)
        if len(header) != 30 or header[:4] != b"PK\x03\x04":
            raise ArchiveUnsafe("ZIPファイルの構造が正しくありません。作り直して送ってください。")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        end = info.header_offset + 30 + name_length + extra_length + info.compress_size


def _safe_name(info: zipfile.ZipInfo, limits: Limits) -> str:
    name = info.filename.replace("\\", "/")
    path = PurePosixPath(name)
    bad = (
        not name
        or len(name) > limits.name_length
        or path.is_absolute()
        or ".." in path.parts
        or re.match(r"[A-Za-z]:", name)
        or any(ord(character) < 32 or ord(character) == 127 for character in name)
        or "\x00" in info.orig_filename
    )
    if bad:
        raise ArchiveUnsafe("ファイル名に使えない文字や場所が含まれています。名前を変えて作り直してください。")
    return str(path)


def _inflate_all(
    archive: zipfile.ZipFile, entries: Sequence[tuple[str, zipfile.ZipInfo]], content: IO[bytes], limits: Limits
) -> list[Member]:
    members, total = [], 0
    for name, info in entries:
        start, size, head = total, 0, b""
        with archive.open(info) as source:
            while piece := source.read(PIECE):
                size += len(piece)
                total += len(piece)
                if size > limits.each or total > limits.total:
                    raise ArchiveUnsafe("展開後のファイルが大きすぎます。小さくするか、分けて送ってください。")
                if size > PIECE and size > limits.ratio * max(info.compress_size, 1):
                    raise ArchiveUnsafe("圧縮率が高すぎるファイルが入っています。取り除いて作り直してください。")
                head = head or piece[:HEAD]
                content.write(piece)
        media_type = sniff(head)
        if media_type in ARCHIVES:
            raise ArchiveUnsafe("ZIPの中に圧縮ファイルを入れることはできません。展開してから入れてください。")
        members.append(Member(name, size, media_type, start))
    return members


def sniff(head: bytes) -> str | None:
    """The media type of a file by its first bytes (4 KiB are enough), or None.

    Text is told apart as XML, JSON or CSV (anything else that reads as text).
    """
    for offset, mark, media_type in SIGNATURES:
        if head[offset : offset + len(mark)] == mark:
            return media_type
    if not head or b"\x00" in head:
        return None
    text = _decoded_head(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n")[:1]
    return {"<": "application/xml", "{": "application/json", "[": "application/json"}.get(start, CSV)


def _decoded_head(head: bytes) -> str | None:
    for encoding in ("utf-8", "cp932"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        return None if _NOT_CP932.search(text) else text
    return None


def inspect_document(file: IO[bytes], media_type: str) -> None:
    """Check that a file is what it is said to be and holds nothing active; run it in a thread.

    Raises:
        ArchiveUnsafe: it is an archive under another name; none of it is inflated.
        DocumentUnsafe: its bytes are of another type, or a PDF is encrypted, runs scripts or carries files.
    """
    file.seek(0)
    found = sniff(file.read(HEAD))
    if found in ARCHIVES and found != media_type:
        raise ArchiveUnsafe("圧縮ファイルは送れません。展開して、PDF・JPEG・PNG などのファイルを送ってください。")
    if found != media_type:
        raise DocumentUnsafe("ファイルの中身が種類と合いません。PDF・JPEG・PNG などで保存し直してください。")
    if media_type == "application/pdf":
        file.seek(0)
        inspect_pdf(file.read())
    if media_type == "application/xml":
        file.seek(0)
        _refuse_declarations(file.read())
    file.seek(0)


def _refuse_declarations(content: bytes) -> None:
    if b"\x00" in content or _DECLARATION.search(content):  # NUL: UTF-16 and UTF-32 would hide a DOCTYPE
        raise DocumentUnsafe("DOCTYPEを含むXMLや、UTF-8でないXMLは受け付けていません。作り直して送ってください。")
