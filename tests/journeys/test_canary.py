"""D-38: where a My Number must never stand. Every sink of the town is searched for it in every dress it could wear."""

import base64
import contextlib
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest

from town_kit.db.server_files import account_for_server, data_directory
from town_kit.ids import new_id
from town_kit.testing import eventually
from town_onebox.journey import people
from town_onebox.journey.hops import FOLDER
from town_onebox.testing import Collector, RunningTown

pytestmark = [
    pytest.mark.journey,
    pytest.mark.timeout(420),
    pytest.mark.xdist_group("journey"),
    pytest.mark.case("D-38"),
]

CARE = "care_need_certification"
PORTALS_OWN = "sandbox/packages"  # what the citizen sent stands at the portal, which is not the town
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
GOOD = "an application as it should be"
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


async def provoke(town: RunningTown, number: str) -> list[tuple[str, int, bytes]]:
    """Requests that carry a number, all but one where none belongs; every answer with its headers."""
    path, good = "/procedures/v1/applications", sample(CARE)
    person = good["insured_person"]
    mistyped = number[:-1] + str((int(number[-1]) + 1) % 10)
    contents = {
        GOOD: good,
        "a free text": {**good, "remarks": f"番号は {number} です"},
        "an unknown field": {**good, number: number},
        "a field of another kind": {**good, "application_kind": number},
        "a date": {**good, "application_date": number},
        "a wrong check digit": {**good, "insured_person": {**person, "my_number": mistyped}},
        "a name": {**good, "insured_person": {**person, "name": number, "insured_number": number}},
    }
    broken = {"not JSON": f'{{"answers": {number}', "a member twice": f'{{"a": "{number}", "a": "{number}"}}'}
    places = {
        "a path": f"{path}/{number}",
        "a query": f"{path}?cursor={number}&state={number}",
        "a list's place": f"{path}?cursor={number}",
        "a parameter nobody knows": f"{path}?{number}=1&my_number={number}",
        "nowhere": f"/{number}",
    }
    answers: list[tuple[str, int, bytes]] = []
    async with httpx.AsyncClient(base_url=town.town.public_url, trust_env=False, timeout=20) as client:
        resident = await people.resident(town.town, client, "taro")
        for what, content in contents.items():
            body = {"procedure_code": "LC-01", "answers": content}
            answers.append(_told(what, await client.post(path, json=body, headers=resident.headers)))
        for what, text in broken.items():
            headers = {**resident.headers, "Content-Type": "application/json"}
            answers.append(_told(what, await client.post(path, content=text, headers=headers)))
        for what, place in places.items():
            answers.append(_told(what, await client.get(place, headers=resident.headers)))
        for header in ("Idempotency-Key", "If-Match", "Authorization", "X-Request-Id", "traceparent"):
            headers = {**resident.headers, header: number}
            what = f"the header {header}"
            answers.append(_told(what, await client.post(f"{path}/{new_id()}/withdraw", headers=headers)))
    return answers


def _told(what: str, answer: httpx.Response) -> tuple[str, int, bytes]:
    headers = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
    return what, answer.status_code, headers + b"\n\n" + answer.content


NUMBER = "246813579135"  # of nobody, and in no sample


@pytest.mark.parametrize(
    "planted",
    [
        NUMBER.encode(),
        "log: ２４６８１３５７９１３５".encode(),
        b"2468-1357-9135",
        "番号 ２４６８－１３５７－９１３５".encode("cp932"),
        NUMBER.encode("utf-16"),
        NUMBER.encode().hex().encode(),
        base64.b64encode(b"xy" + NUMBER.encode() + b"tail of it"),
        base64.urlsafe_b64encode(json.dumps({"answers": {"my_number": NUMBER}}).encode()).rstrip(b"="),
        gzip.compress(NUMBER.encode()),
        zlib.compress(b"a span with " + NUMBER.encode()),
        base64.b64encode(gzip.compress(b"in " + NUMBER.encode())),
    ],
    ids=[
        "plain",
        "full width",
        "groups",
        "groups in cp932",
        "utf-16",
        "hex",
        "base64",
        "base64url",
        "gzip",
        "zlib",
        "both",
    ],
)
def test_the_search_finds_a_number_that_was_planted(planted: bytes) -> None:
    search = Search([NUMBER])
    search.look("here", planted)
    search.look("in the midst", b"a" + planted + b"z")
    search.look("elsewhere", b"2026-11-24T03:38:00 999000000000 nothing of the kind")
    assert search.found in (["here", "in the midst"], ["here"])
    assert len(search.found) == 2 or planted[:1] in b"\x1f\x78", "only a compressed stream must stand at its beginning"


async def test_the_search_finds_a_number_in_a_table_and_in_a_log(running_town: RunningTown) -> None:
    connection = await running_town.connect("postgres")
    log = running_town.place.logs / "planted.log"
    search = Search([NUMBER])
    try:
        await connection.execute("CREATE TABLE planted (held jsonb, raw bytea)")
        await connection.execute(
            "INSERT INTO planted VALUES ($1, $2)", json.dumps({"x": [NUMBER]}), NUMBER.encode("utf-16")
        )
        log.write_text(f'{{"event": "it is {NUMBER}"}}\n')
        await search_databases(search, running_town)
        search_files(search, running_town.place.directory)
    finally:
        log.unlink()
        await connection.execute("DROP TABLE IF EXISTS planted")
        await connection.close()
    assert search.found == [
        "table:postgres.public.planted held",
        "table:postgres.public.planted raw",
        "file:logs/planted.log",
    ]


async def test_no_my_number_stands_anywhere_but_in_the_vault(
    journey: Any, running_town: RunningTown, collector: Collector
) -> None:
    assert journey.done.returncode == 0
    numbers = sorted(my_numbers(sample(FOLDER)) | my_numbers(sample(CARE)))
    assert len(numbers) >= 3
    search = Search(numbers)

    sent = len(collector.bodies)
    for what, status, answer in await provoke(running_town, numbers[0]):
        assert (status == 201) if what == GOOD else (400 <= status < 500), what
        search.look(f"answer {what}", answer)

    async def traced() -> bool:
        return len(collector.bodies) > sent

    await eventually(traced, within=30)
    for done in (journey.done, journey.again):
        search.look("terminal", (done.stdout + done.stderr).encode())
    search_files(search, running_town.place.directory)
    await search_databases(search, running_town)
    search_data_files(search, running_town, numbers)
    for query in await running_town.rows("postgres", "SELECT query FROM pg_stat_activity WHERE query IS NOT NULL"):
        search.look("statements", query.encode())
    for body in collector.bodies:
        search.look("telemetry", body)

    assert search.found == []
    for sink in (
        "file:logs/web-1.log",
        "file:logs/worker.log",
        "file:logs/vault.log",
        "file:postgres/postgres.log",
        "file:showcase/journey.jsonl",
        "file:sandbox/fcm.jsonl",
        "file:sandbox/smtp.jsonl",
        "file:sandbox/mynaportal.jsonl",
        "file:sandbox/core_system.jsonl",
        "table:procedures.public.applications",
        "table:procedures.public.outbox",
        "table:procedures.public.idempotency_keys",
        "table:procedures.public.blob_chunks",
        "table:standardization.public.my_numbers",
        "table:notifications.public.messages",
        "table:identity.public.audit_records",
        "table:events_internet.public.log_records",
        "table:connector.public.inbox",
        "data files",
        "statements",
        "telemetry",
    ):
        assert search.looked_at.get(sink), f"{sink} was not looked at: this test has lost its eyes there"
