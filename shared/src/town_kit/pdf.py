"""PDFs that act, carry files or are locked, found without running a PDF reader over hostile bytes.

A name may be written with escapes, and whole objects may stand in a compressed object stream (ISO 32000-2, 7.5.7),
where a look at the file's bytes finds nothing. So every object stream is unpacked, up to a limit, and looked into; one
that is packed otherwise than with Flate alone is refused, for nobody needs it.
"""

import re
import zlib
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from town_kit.problems import DocumentUnsafe

UNPACKED_LIMIT = 32 * 1024 * 1024
_ACTIVE = re.compile(rb"/(?:JavaScript|Launch|EmbeddedFiles?|RichMedia)\b|/XFA\s*(?:\[|\d+\s+\d+\s+R)")
_LOCKED = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
_ESCAPED_NAME = re.compile(rb"/[^\s/<>()\[\]{}%]*#[0-9A-Fa-f]{2}[^\s/<>()\[\]{}%]*")
_OBJECT_STREAM = re.compile(rb"/ObjStm\b")
# A stream with a plain dictionary: no string and no dictionary inside, in which something else could be written.
_PLAIN_STREAM = re.compile(rb"obj\s*<<([^<>()]*)>>\s*stream(?:\r\n|\n|\r)")
_FILTER = re.compile(rb"/Filter\s*(\[[^\]]*\]|[^\s\[\]]+|\d+\s+\d+\s+R)")
_FLATE = re.compile(rb"\[?\s*/FlateDecode\s*\]?")
_HIDDEN = "PDFの構造を確かめられません。印刷用に保存し直してください。"
_OTHERWISE = re.compile(rb"/(?:DecodeParms|DP|F|Fl)\b")


def inspect_pdf(content: bytes) -> None:
    """Look for what a town does not open.

    Raises:
        DocumentUnsafe: cut short, encrypted, with scripts, launches, forms of their own or files inside, or packed in a
            way that would hide them.
    """
    if b"%%EOF" not in content[-2048:]:
        raise DocumentUnsafe("PDFが途中で切れています。保存し直して送ってください。")
    if _LOCKED.search(_plain(content)):
        raise DocumentUnsafe("パスワード付きのPDFは受け付けていません。パスワードを外して送ってください。")
    for piece in (content, *_object_streams(content)):
        if _ACTIVE.search(_plain(piece)):
            raise DocumentUnsafe("動作や添付を含むPDFは受け付けていません。印刷用に保存し直してください。")


def _plain(content: bytes) -> bytes:
    """The bytes with every escaped name written out."""
    return _ESCAPED_NAME.sub(lambda name: unquote_to_bytes(name[0].replace(b"%", b"%25").replace(b"#", b"%")), content)


def _object_streams(content: bytes) -> Iterator[bytes]:
    """The objects of each object stream, unpacked; each mention of one must be one that can be unpacked here."""
    left, known = UNPACKED_LIMIT, 0
    for found in _PLAIN_STREAM.finditer(content):
        header = _plain(found[1])
        named = len(_OBJECT_STREAM.findall(header))
        known += named
        if not named and not (b"/First" in header and b"/N" in header):  # some readers do not ask for the type
            continue
        packed = _FILTER.search(header)
        if _OTHERWISE.search(header) or (packed is not None and not _FLATE.fullmatch(packed[1])):
            raise DocumentUnsafe(_HIDDEN)
        end = content.find(b"endstream", found.end())
        piece = _unpacked(content, found.end(), left) if packed else content[found.end() : end]
        left -= len(piece)
        yield piece
    if known != len(_OBJECT_STREAM.findall(_plain(content))):
        raise DocumentUnsafe(_HIDDEN)


def _unpacked(content: bytes, start: int, limit: int) -> bytes:
    """What a Flate stream holds; a damaged one is refused, for readers differ in what they make of it."""
    unpacker, pieces, size = zlib.decompressobj(), [], 0
    for at in range(start, len(content), 65_536):
        try:
            piece = unpacker.decompress(content[at : at + 65_536], limit + 1 - size)
        except zlib.error:
            break
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise DocumentUnsafe("PDFの中身が大きすぎます。分けて送ってください。")
        if unpacker.eof:
            return b"".join(pieces)
    raise DocumentUnsafe(_HIDDEN)
