"""ファイル連携: records stand in files once; a file is complete when its marker stands beside it."""

import csv
import io
from functools import partial
from typing import Any

import asyncpg

from town_kit.clock import SystemClock
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.testing import PostgresServer
from town_kit.testing.plans import plans_of
from town_standardization.main import MIGRATIONS
from town_standardization.records import export
from town_standardization.records.export import export_files


def read(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8"), newline="")))


async def test_a_record_is_written_once_with_its_groups_and_a_marker_each(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()
    assert await export_files(world.ports) >= 1
    files = sorted(path for path in world.drop.iterdir() if path.suffix == ".csv")
    assert [path.name.split("_")[3] for path in files] == ["JIDO001", "JIDO002", "JIDO003"]
    assert all((world.drop / (path.name + ".done")).exists() for path in files)
    claims, children, students = (read(path.read_bytes()) for path in files)
    assert claims[-1]["teate_getsugaku"] == "25000"
    keys = [row["key"] for row in claims]
    assert len(children) == 2 * len(claims)
    assert {row["key"] for row in children} == set(keys)
    assert students == []
    assert not [n for n in world.numbers_in("CH-01") for path in files if n.encode() in path.read_bytes()]
    assert await export_files(world.ports) == 0


async def test_a_run_that_died_before_its_mark_writes_the_same_files_again(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()
    await export_files(world.ports)
    before = {path.name: path.read_bytes() for path in world.drop.iterdir()}
    [last] = await world.rows("SELECT id FROM record_exports ORDER BY serial DESC LIMIT 1")
    await world.rows_changed("UPDATE record_exports SET written_at = NULL WHERE id = :id", id=last.id)
    await export_files(world.ports)
    assert {path.name: path.read_bytes() for path in world.drop.iterdir()} == before


async def test_a_business_without_a_folder_gets_no_files(world: Any) -> None:
    await world.accepted("LC-01")
    await world.settle()
    await export_files(world.ports)
    [row] = await world.rows("SELECT count(*) AS n FROM record_exports WHERE business_id = '023'")
    assert row.n == 0


YEARS = """
    INSERT INTO record_exports (id, business_id, serial, begun_at, written_at)
    SELECT gen_random_uuid(), '027', serial, now(), now() FROM generate_series(1, 300) serial;
    INSERT INTO records (id, version, event_sequence, business_id, key, history_number, application_id, decided_by,
        subjects, content, operated_at, export_id)
    SELECT gen_random_uuid(), 1, 1, '027', coalesce(run.serial::text, 'waiting') || '-' || n, 1, gen_random_uuid(),
        'clerk', '{}', '{}', now(), run.id
    FROM (SELECT id, serial FROM record_exports UNION ALL SELECT NULL, NULL) run, generate_series(1, 10) n;
    ANALYZE record_exports, records"""


async def test_an_export_reads_what_it_writes_off_an_index(postgres_server: PostgresServer) -> None:
    """Nearly everything a town has stands in a file already; what waits is not looked for among all of it."""
    urls = postgres_server.create_database("standardization_exports", MIGRATIONS)
    admin = await asyncpg.connect(postgres_server.admin_dsn, database=urls.name)  # past row security
    try:
        await admin.execute(YEARS)
    finally:
        await admin.close()
    async with Database(urls.app_url).running() as database, database.begin() as session:
        begun = await plans_of(session, partial(export._begin, session, "027", SystemClock().now()))
        *_, read = await plans_of(session, partial(export._records, session, new_id()))  # after what was begun
        await session.rollback()
    assert "using record_exports_unfinished on" in begun[1], begun
    assert "using records_unexported on" in begun[2], begun
    assert "using records_of_export on" in read, read
    assert "Sort" not in read, read
