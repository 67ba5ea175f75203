"""D-38: where a My Number must never stand. Every sink of the town is searched for it in every dress it could wear."""

import base64
import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
from tests.journeys.number_search import (
    Search,
    my_numbers,
    sample,
    search_data_files,
    search_databases,
    search_files,
)

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
GOOD = "an application as it should be"


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
