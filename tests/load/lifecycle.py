"""`lifecycle`: submit → accept → decide → complete through the gateway of one box, everything on.

The town runs as `make run` starts it (two web processes, worker at nice 7, vault, PostgreSQL durable), the load
generator is one more process on the same cores. The reference is the same rows written by a bare pgbench script on a
server with the same settings: four transactions a lifecycle, no Python.

The core systems of the outside world do not poll meanwhile (they would share the town's cores here, as they do nowhere
else): a lifecycle's last effect is its standard record, prepared for them, and its messages.

The best published figure of a comparable system is DIGIT's: 37 complaint lifecycles a second on 16 vCPU. That was a
distributed deployment with a network between its parts; this one is a single box, so the two say what a town needs to
buy, not which code is faster.
"""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import httpx
from tests.load.box import drained, quiet_outside, under_load
from tests.load.measure import Measure

from town_kit.db import server
from town_kit.ids import new_id
from town_onebox.assembly import Town
from town_onebox.journey import people
from town_procedures.catalogue import load_catalogue
from town_procedures.wiring import SHIPPED

SECONDS = 30.0
WARM_UP = 4.0
CONNECTIONS = 12


@dataclass
class Load:
    """What the load generator found."""

    lifecycles: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    drain_s: float


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    load = Load(**await under_load(__name__))
    reference = await asyncio.to_thread(bare_rows_per_second)
    rate = load.lifecycles / load.seconds
    ratio = rate / reference if reference else None
    return [
        Measure("lifecycle.per_second", rate, "lifecycles/s", reference, ratio),
        Measure("lifecycle.call_p50", load.p50_ms, "ms", None, None),
        Measure("lifecycle.call_p99", load.p99_ms, "ms", None, None),
        Measure("lifecycle.refused", load.refused, "calls", None, None),
        Measure("lifecycle.drain_s", load.drain_s, "s", None, None),
    ]


async def load(town: Town) -> dict[str, Any]:
    """Drive the town at full speed and wait for the last effect."""
    return asdict(await generate(town, SECONDS))


async def generate(town: Town, seconds: float, warm_up: float = WARM_UP) -> Load:
    """Drive the town at full speed for ``seconds``, counted after ``warm_up``, and wait for the last effect."""
    await quiet_outside(town)
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30) as client:
        residents = [await people.resident(town, client, name) for name in people.CARDS]
        officer = await people.staff(client, "clerk")
    answers, since = sample(), new_id()
    times: list[float] = []
    done = refused = 0
    clock = time.monotonic
    began = clock() + warm_up
    until = began + seconds

    async def lifecycle(http: aiohttp.ClientSession, resident: str) -> None:
        nonlocal done, refused
        started = clock()
        body = {"procedure_code": "LC-01", "answers": answers}
        view = await call(http, "", body, resident, None)
        for verb, content in (("accept", None), ("decide", {"decision": "approved"}), ("complete", None)):
            if view is None:
                break
            view = await call(http, f"/{view['id']}/{verb}", content, officer.token, view["version"])
        if view is None:
            refused += 1
        elif started >= began and clock() <= until:
            done += 1

    async def call(http: aiohttp.ClientSession, path: str, body: Any, token: str, version: int | None) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id())}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        sent = clock()
        async with http.post(f"/procedures/v1/applications{path}", json=body, headers=headers) as answer:
            content = await answer.json(content_type=None)
            if sent >= began:
                times.append((clock() - sent) * 1000)
            return content if answer.status < 300 else None

    async def worker(number: int) -> None:
        # A connection of one's own: each may be taken by another web process.
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(town.public_url, connector=connector) as http:
            while clock() < until:
                await lifecycle(http, residents[number % len(residents)].token)

    await asyncio.gather(*(worker(n) for n in range(CONNECTIONS)))
    ended = clock()
    await drained(town, since)
    times.sort()
    return Load(
        lifecycles=done,
        seconds=seconds,
        p50_ms=times[len(times) // 2],
        p99_ms=times[int(len(times) * 0.99)],
        refused=refused,
        drain_s=clock() - ended,
    )


@cache
def sample() -> dict[str, Any]:
    """The answers of the care procedure's sample: one object for all who ask, which nobody changes."""
    folder = load_catalogue(SHIPPED)["LC-01"].folder
    answers: dict[str, Any] = json.loads((folder / "samples" / "valid.json").read_text(encoding="utf-8"))["answers"]
    return answers


ROWS = """
\\set k random(1, 1000000000)
BEGIN;
INSERT INTO applications VALUES (gen_random_uuid(), 1, 1, md5(random()::text), 'LC-01', 'submitted', now(), :answers);
INSERT INTO parties VALUES (gen_random_uuid(), gen_random_uuid()), (gen_random_uuid(), gen_random_uuid());
INSERT INTO transitions VALUES (gen_random_uuid(), 1, 'submitted', now());
INSERT INTO outbox (event_id, data) VALUES (gen_random_uuid(), convert_to(:event, 'UTF8'));
INSERT INTO audit_records VALUES (gen_random_uuid(), now(), 'application.submit');
INSERT INTO idempotency_keys VALUES (gen_random_uuid(), convert_to(:event, 'UTF8'));
COMMIT;
"""
MOVE = """
BEGIN;
UPDATE applications SET version = version + 1, state = 'next' WHERE id = (SELECT id FROM applications OFFSET 0 LIMIT 1);
INSERT INTO transitions VALUES (gen_random_uuid(), 2, 'next', now());
INSERT INTO outbox (event_id, data) VALUES (gen_random_uuid(), convert_to(:event, 'UTF8'));
INSERT INTO audit_records VALUES (gen_random_uuid(), now(), 'application.move');
INSERT INTO idempotency_keys VALUES (gen_random_uuid(), convert_to(:event, 'UTF8'));
COMMIT;
"""
TABLES = """
CREATE TABLE applications (id uuid PRIMARY KEY, version int, sequence int, reference text UNIQUE, code text, state text,
  received_at timestamptz, answers jsonb);
CREATE TABLE parties (id uuid PRIMARY KEY, person_id uuid);
CREATE TABLE transitions (id uuid, sequence int, state text, at timestamptz, PRIMARY KEY (id, sequence));
CREATE TABLE outbox (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid UNIQUE, data bytea);
CREATE TABLE audit_records (id uuid PRIMARY KEY, at timestamptz, action text);
CREATE TABLE idempotency_keys (id uuid PRIMARY KEY, body bytea);
"""


def bare_rows_per_second(seconds: int = 10) -> float | None:
    """Lifecycles a second of pgbench writing the same rows; None where pgbench is not installed."""
    found = shutil.which("pgbench") or next(iter(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench"))), None)
    if found is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="town-reference-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = server.start(folder / "postgres")
    try:
        script = folder / "lifecycle.sql"
        answers, event = json.dumps(sample()).replace("'", "''"), "x" * 600
        text = ROWS + MOVE * 3
        script.write_text(text.replace(":answers", f"'{answers}'").replace(":event", f"'{event}'"), encoding="utf-8")
        asyncio.run(_prepare(running.admin_dsn))
        printed = subprocess.run(
            [found, "-n", "-c", "8", "-j", "1", "-T", str(seconds), "-f", str(script), running.admin_dsn],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        line = next(line for line in printed.splitlines() if line.startswith("tps"))
        return float(line.split("=")[1].split()[0])
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(TABLES)
    finally:
        await connection.close()
