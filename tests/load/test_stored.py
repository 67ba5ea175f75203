"""What `lifecycle-1m` stores fits the tables as they are, and leaves them as they were."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from tests.load.stored import bare
from tests.load.stored.filling import DATABASES, read_parts

from town_kit.db import migrations
from town_kit.testing import PostgresServer
from town_kit.testing.postgres import in_thread
from town_onebox.registry import BY_NAME

SERVICES = [name for name in DATABASES if name in BY_NAME]
INSERT = re.compile(r"INSERT INTO (\w+)\s+\(([^)]+)\)")
MUST = """SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1
  AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"""
EVERY = """SELECT pg_get_constraintdef(oid) AS said FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"""


@asynccontextmanager
async def owner_of(server: PostgresServer, name: str) -> AsyncIterator[asyncpg.Connection]:
    urls = server.create_database(f"stored_{name}")
    in_thread(migrations.upgrade, urls.owner_url, BY_NAME[name].migrations)
    connection = await asyncpg.connect(urls.owner_dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("name", SERVICES)
async def test_every_column_that_must_be_said_is_said(postgres_server: PostgresServer, name: str) -> None:
    said = [found for part in read_parts(name) for found in INSERT.findall(part.statements)]
    assert said
    async with owner_of(postgres_server, name) as owner:
        for table, columns in said:
            must = {row[0] for row in await owner.fetch(MUST, table)}
            assert must, table
            assert must <= {column.strip() for column in columns.split(",")}, table


@pytest.mark.parametrize("name", SERVICES)
async def test_what_is_taken_from_the_tables_is_put_back(postgres_server: PostgresServer, name: str) -> None:
    tables = sorted({table for part in read_parts(name) for table in part.tables})
    async with owner_of(postgres_server, name) as owner:
        before = await owner.fetch(EVERY)
        taken = await bare.take(owner, tables)
        assert len(await owner.fetch(EVERY)) < len(before) - len(tables)
        for statement in (*taken.indexes, *taken.foreign_keys):
            await owner.execute(statement)
        assert await owner.fetch(EVERY) == before
