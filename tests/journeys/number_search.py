"""D-38: looking for My Numbers in every dress they could wear, in files, tables and the bytes under them."""

import base64
import contextlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from town_kit.db.server_files import account_for_server, data_directory
from town_onebox.testing import RunningTown

PORTALS_OWN = "sandbox/packages"  # what the citizen sent stands at the portal, which is not the town
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
DEPTH = 3
MEGABYTE = 1 << 20


def sample(folder: str) -> dict[str, Any]:
    found = resources.files("town_procedures.catalogue").joinpath(folder, "samples", "valid.json")
    answers: dict[str, Any] = json.loads(found.read_text("utf-8"))["answers"]
    return answers


def my_numbers(value: Any) -> set[str]:
    """Every answer called a My Number, at any depth."""
    if isinstance(value, Mapping):
        own = {v for k, v in value.items() if k.endswith("my_number") and isinstance(v, str)}
        return own.union(*(my_numbers(v) for v in value.values()))
    if isinstance(value, list):
        return set().union(*map(my_numbers, value))
    return set()


def dresses(number: str) -> list[bytes]:
    """The number in the ways it could be written down by mistake."""
    wide = number.translate({ord(digit): ord("０") + int(digit) for digit in "0123456789"})
    texts = [number, wide]
    for digits in (number, wide):
        texts += [mark.join((digits[:4], digits[4:8], digits[8:])) for mark in "- ‐－　"]
    written = [text.encode(code, "ignore") for text in texts for code in ("utf-8", "utf-16-le", "utf-16-be", "cp932")]
    written += [json.dumps(wide).strip('"').encode(), int(number).to_bytes(8, "big"), int(number).to_bytes(8, "little")]
    hexes = [text.encode().hex() for text in texts]
    written += [h.encode() for h in hexes] + [h.upper().encode() for h in hexes]
    return list(dict.fromkeys(written))


def layers(data: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The bytes, and what is inside them: archives, compressed streams, base64 of any kind."""
    yield data
    if depth == 0:
        return
    if data[:2] == b"\x1f\x8b":
        with contextlib.suppress(zlib.error):
            yield from layers(zlib.decompressobj(31).decompress(data), depth - 1)  # also of a stream cut short
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from layers(archive.read(name), depth - 1)
    if data[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            yield from layers(zlib.decompressobj().decompress(data), depth - 1)
    for run in BASE64.findall(data):
        standard = run.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            yield from layers(base64.b64decode(standard[start : start + (len(run) - start) // 4 * 4]), depth - 1)


class Search:
    """Looks for numbers; ``found`` says where one stood, never which.

    What is to be looked at is collected and searched a megabyte at a time; a hit is then traced to its place.
    """

    def __init__(self, numbers: Iterable[str]) -> None:
        self._needles: dict[bytes, list[bytes]] = {}  # by how they begin: most numbers of the samples begin alike
        for needle in dict.fromkeys(dress for number in numbers for dress in dresses(number)):
            self._needles.setdefault(needle[:8], []).append(needle)
        self._waiting: list[tuple[str, bytes]] = []
        self._size = 0
        self._found: dict[str, None] = {}
        self.looked_at: dict[str, int] = {}

    @property
    def found(self) -> list[str]:
        self._search()
        return list(self._found)

    def look(self, place: str, data: bytes) -> None:
        sink = place.split(" ")[0]
        self.looked_at[sink] = self.looked_at.get(sink, 0) + len(data)
        for layer in layers(data):
            self._waiting.append((place, layer))
            self._size += len(layer)
        if self._size > MEGABYTE:
            self._search()

    def _search(self) -> None:
        together = b"\n".join(layer for _, layer in self._waiting)
        alike = [needle for start, needles in self._needles.items() if start in together for needle in needles]
        here = [needle for needle in alike if needle in together]
        if here:
            self._found |= {p: None for p, layer in self._waiting if any(needle in layer for needle in here)}
        self._waiting, self._size = [], 0


def values(value: Any) -> Iterator[bytes]:
    """What a column holds, as bytes."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from values(one)
    elif value is not None:
        yield str(value).encode()


def search_files(search: Search, directory: Path) -> None:
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_file() and not name.startswith((PORTALS_OWN, "postgres/cluster")):
            search.look(f"file:{name}", path.read_bytes())


async def search_databases(search: Search, town: RunningTown) -> None:
    for database in await town.rows("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate"):
        connection = await town.connect(database)
        try:
            tables = await connection.fetch(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            for (table,) in tables:
                async with connection.transaction():
                    async for row in connection.cursor(f"SELECT * FROM {table}"):
                        for column, held in row.items():
                            for data in values(held):
                                search.look(f"table:{database}.{table} {column}", data)
        finally:
            await connection.close()


def search_data_files(search: Search, town: RunningTown, numbers: list[str]) -> None:
    """The bytes under the tables: heap, indexes, the write-ahead log, what a deleted row left behind."""
    for path in sorted(data_directory(town.place.postgres, account_for_server()).rglob("*")):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            content = path.read_bytes()
            search.looked_at["data files"] = search.looked_at.get("data files", 0) + len(content)
            if any(number.encode() in content for number in numbers):
                search.look(f"data {path.name}", numbers[0].encode())
