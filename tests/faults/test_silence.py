"""A connection to PostgreSQL that is lost is given up, and whoever used it is told to come again."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from town_kit.db.engine import Database
from town_kit.db.errors import refusal_of
from town_kit.messaging.consumer import driver_of
from town_kit.messaging.pglog import PgLog, install
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Outgoing, TransportError
from town_kit.testing import PostgresServer

from .proxy import Proxy

STATEMENT_SECONDS = 1.0


@pytest.fixture
async def proxy(postgres_server: PostgresServer) -> AsyncIterator[Proxy]:
    """Stands before PostgreSQL."""
    server = urlsplit(postgres_server.admin_dsn)
    assert server.hostname
    assert server.port
    async with Proxy(server.hostname, server.port) as between:
        yield between


def through(proxy: Proxy, dsn: str) -> str:
    """The same address by way of the proxy."""
    return dsn.replace(f":{proxy.target[1]}/", f":{proxy.port}/")


async def test_a_silent_connection_is_given_up_and_the_others_of_its_pool_with_it(
    postgres_server: PostgresServer, proxy: Proxy
) -> None:
    url = through(proxy, postgres_server.create_database("silent").app_url)
    database = Database(url, pool_size=2, statement_timeout_ms=int(STATEMENT_SECONDS * 1000))

    async def ask() -> None:
        async with database.begin() as session:
            await session.execute(text("SELECT 1"))

    async with database.running():
        async with database.begin(), database.begin():
            assert proxy.connections == 2
        proxy.half_open()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await ask()
        await ask()
        assert time.monotonic() - began < STATEMENT_SECONDS + 8  # and not twice as long, once for each connection


async def test_a_statement_of_the_driver_whose_connection_is_lost_may_be_asked_again(
    postgres_server: PostgresServer, proxy: Proxy
) -> None:
    database = Database(through(proxy, postgres_server.create_database("silent").app_url))

    async with database.running(), database.sessions() as session:
        driver = await driver_of(session)
        statement = asyncio.create_task(driver.execute("SELECT pg_sleep(20)"))
        await asyncio.sleep(0.3)
        proxy.reset()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as lost:
            await statement
        refusal = refusal_of(lost.value)
        assert refusal is not None
        assert refusal.status == 503
        with pytest.raises(asyncpg.InterfaceError) as closed:
            await driver.execute("SELECT 1")
        assert refusal_of(closed.value) is not None


async def test_a_log_that_says_nothing_is_told_as_away(
    postgres_server: PostgresServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("town_kit.messaging.pglog.SILENCE_SECONDS", STATEMENT_SECONDS)
    urls = postgres_server.create_database("silent_log")
    await install(urls.owner_dsn)
    log = PgLog(through(proxy, urls.app_dsn))
    await log.create_topics([TopicSpec("silent")])
    producer = await log.producer()
    message = Outgoing("silent", b"k", (), b"v")
    proxy.half_open()

    (answer,) = await producer.send([message])

    assert isinstance(answer, TransportError)
    await producer.close()
    fresh = await log.producer()
    (answer,) = await fresh.send([message])
    assert not isinstance(answer, Exception)
    await fresh.close()
    await log.close()
