"""A connection to PostgreSQL that falls silent is given up in time; whoever waited is told to come again (R-02)."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from tests.faults.proxy import Proxy

from town_kit.db import Database
from town_kit.db.errors import refusal_of
from town_kit.messaging import notify
from town_kit.testing import PostgresServer, eventually
from town_procedures.main import MIGRATIONS

SILENCES = {
    "drop": lambda proxy: proxy.drop(),
    "half open": lambda proxy: proxy.half_open(),
    "only requests arrive": lambda proxy: proxy.one_way("up"),
    "only answers arrive": lambda proxy: proxy.one_way("down"),
}
STATEMENT_MS = 1_000
GIVEN_UP_WITHIN = 12.0  # a statement, the second more, as long again for the server to cancel it, and a connection
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def cut(postgres_server: PostgresServer) -> AsyncIterator[tuple[Proxy, Database]]:
    """A database behind a proxy, and a pool of one connection to it."""
    url = postgres_server.create_database("cut", MIGRATIONS).app_url
    found = re.search(r"@([^:/]+):(\d+)/", url)
    assert found is not None
    async with Proxy(found[1], int(found[2])) as proxy:
        behind = url.replace(found[0], f"@127.0.0.1:{proxy.port}/")
        async with Database(behind, pool_size=1, statement_timeout_ms=STATEMENT_MS).running() as database:
            yield proxy, database


async def ask(database: Database) -> int:
    async with database.begin() as session:
        return int((await session.execute(text("SELECT count(*) FROM applications"))).scalar_one())


async def test_a_listener_whose_connection_was_cut_hears_again(
    cut: tuple[Proxy, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, database = cut
    monkeypatch.setattr(notify, "HEARTBEAT_SECONDS", 0.5)
    heard = asyncio.Event()

    async def hears() -> bool:
        async with database.begin() as session:
            await session.execute(text("SELECT pg_notify('cut', '')"))
        await asyncio.sleep(0.1)
        return heard.is_set()

    async with notify.listening(database, "cut", heard.set):
        await eventually(hears)
        await database.engine.dispose()
        proxy.half_open()
        heard.clear()
        await eventually(hears, within=30)


@pytest.mark.parametrize("silence", SILENCES)
async def test_a_silent_connection_is_given_up_and_the_next_one_works(
    cut: tuple[Proxy, Database], silence: str
) -> None:
    proxy, database = cut
    assert await ask(database) == 0
    SILENCES[silence](proxy)
    began = time.monotonic()
    with pytest.raises(Exception) as failed:
        await asyncio.wait_for(ask(database), GIVEN_UP_WITHIN)
    assert time.monotonic() - began < GIVEN_UP_WITHIN, "it waits for ever"
    assert refusal_of(failed.value) is not None, failed.value
    proxy.heal()
    assert await asyncio.wait_for(ask(database), GIVEN_UP_WITHIN) == 0
