"""Changes that keep the shape of a format, so that they reach what random bytes never do: behind lengths and counts."""

import copy
import io
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

Shape = Callable[[bytes, random.Random], bytes]

CONSTRUCTED = 0x20
TAGS = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x17, 0x18, 0x24, 0x30, 0x31, 0x80, 0xA0, 0xA3, 0xBF)
OIDS = (b"", b"\x80", b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", b"\xff" * 20)
# Offsets and sizes of the fields of a ZIP's headers, by signature (APPNOTE 4.3.7, 4.3.12, 4.3.16).
HEADERS: dict[bytes, tuple[tuple[int, int], ...]] = {
    b"PK\x03\x04": ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": ((4, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (38, 4), (42, 4)),
    b"PK\x05\x06": ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}
NAMES = (
    "../x",
    "/x",
    "a\\b",
    "C:x",
    "a\x00b",
    "x" * 300,
    "application.json",
    "APPLICATION.JSON",
    "＊",
    ".",
    "a//b",
    "",
)
CELLS = ("", '"', '""', "a", "=1+1", "\r", "\n", "番", "\x00", "ﾊﾟ", "~", "\\", "①", "x" * 10_001, ",", " ")


@dataclass
class Node:
    """One element of DER: its tag, and its content or its children."""

    tag: int
    content: bytes = b""
    children: list["Node"] = field(default_factory=list)


def nodes(content: bytes, depth: int = 0) -> list[Node] | None:
    """The elements of DER; None where it is none."""
    found, at = [], 0
    while at < len(content):
        if at + 2 > len(content):
            return None
        tag, length, at = content[at], content[at + 1], at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(content[at : at + size], "big"), at + size
        if at + length > len(content):
            return None
        inner = content[at : at + length]
        children = nodes(inner, depth + 1) if tag & CONSTRUCTED and depth < 30 else None
        found.append(Node(tag, inner, children or []))
        at += length
    return found


def encoded(node: Node, chance: random.Random) -> bytes:
    """An element again; now and then with a length that is longer than needed."""
    content = b"".join(encoded(child, chance) for child in node.children) if node.children else node.content
    size = len(content)
    needed = (size.bit_length() + 7) // 8
    if size < 0x80 and chance.random() < 0.99:
        return bytes((node.tag, size)) + content
    extra = 1 if chance.random() < 0.01 else 0
    return bytes((node.tag, 0x80 | max(1, needed) + extra)) + size.to_bytes(max(1, needed) + extra, "big") + content


def der(content: bytes, chance: random.Random) -> bytes:
    """Elements left out, doubled, swapped, nested, of another type or with other content; the lengths are right."""
    tree = nodes(content)
    if tree is None:
        return content
    for _ in range(chance.randint(1, 3)):
        everything = _all(tree)
        parents = [node.children for node in everything if node.children] or [tree]
        siblings = chance.choice(parents)
        at = chance.randrange(len(siblings))
        match chance.randrange(7):
            case 0:
                del siblings[at]
            case 1:
                siblings.insert(at, siblings[at])
            case 2:
                siblings[at] = copy.deepcopy(chance.choice(everything))
            case 3:
                chance.shuffle(siblings)
            case 4:
                siblings[at] = Node(chance.choice(TAGS), siblings[at].content, siblings[at].children)
            case 5:
                siblings[at] = Node(siblings[at].tag, chance.choice((*OIDS, chance.randbytes(chance.randint(0, 9)))))
            case 6:
                for _ in range(chance.choice((1, 5, 60))):
                    siblings[at] = Node(chance.choice((0x30, 0x31, 0xA0, 0x24)), b"", [siblings[at]])
        if not tree:
            return b""
    return b"".join(encoded(node, chance) for node in tree)


def _all(tree: list[Node]) -> list[Node]:
    return [each for node in tree for each in (node, *_all(node.children))]


def archive(content: bytes, chance: random.Random) -> bytes:
    """Members renamed, doubled, left out or packed otherwise, then a field of a header with a value at its edge."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            members = [(info.filename, opened.read(info)) for info in opened.infolist()]
    except (zipfile.BadZipFile, RuntimeError, ValueError):
        return content
    at = chance.randrange(len(members))
    match chance.randrange(5):
        case 0:
            members[at] = (chance.choice(NAMES), members[at][1])
        case 1:
            members.append(members[at])
        case 2 if len(members) > 1:
            del members[at]
        case 3:
            members.append((f"attachments/{chance.choice(NAMES)}", chance.randbytes(20)))
    made = io.BytesIO()
    packing = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(made, "w", packing) as written:
        for name, inner in members:
            written.writestr(zipfile.ZipInfo(name or "x"), inner, compress_type=packing)
    changed = bytearray(made.getvalue())
    for _ in range(chance.randint(0, 2)):
        _edge(changed, chance)
    return bytes(changed)


def _edge(content: bytearray, chance: random.Random) -> None:
    signature = chance.choice(list(HEADERS))
    places = [at for at in range(len(content) - 3) if content[at : at + 4] == signature]
    if not places:
        return
    offset, size = chance.choice(HEADERS[signature])
    start = chance.choice(places) + offset
    if start + size > len(content):
        return
    top = 256**size
    now = int.from_bytes(content[start : start + size], "little")
    value = chance.choice((0, 1, top - 1, top // 2, (now + 1) % top, (now - 1) % top, 1 << chance.randrange(size * 8)))
    content[start : start + size] = struct.pack("<I", value)[:size]


def table(content: bytes, chance: random.Random) -> bytes:
    """Rows of cells that a reader of CSV may stumble over, in the encodings a town's files have."""
    rows = [
        chance.choice((",", ";", "\t")).join(chance.choice(CELLS) for _ in range(chance.choice((1, 2, 3, 501))))
        for _ in range(chance.randint(0, 4))
    ]
    text = chance.choice(("\r\n", "\n", "\r")).join(rows)
    encoding = chance.choice(("utf-8", "utf-8-sig", "cp932", "utf-16", "euc-jp"))
    return content[: chance.randint(0, len(content))] + text.encode(encoding, "replace")
