"""A server that came back is asked through new connections: whoever asks first does not pay for it."""

import asyncio

from sqlalchemy import text

from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.testing.auth import eventually

PID = text("SELECT pg_backend_pid()")
END = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'kept'")


async def test_a_connection_that_the_server_closed_is_replaced_before_it_is_used(own_urls: DatabaseUrls) -> None:
    async with (
        Database(own_urls.app_url, application="kept").running() as kept,
        Database(own_urls.app_url).running() as other,
    ):
        async with kept.begin() as session:
            before = (await session.execute(PID)).scalar_one()
        async with other.begin() as session:
            assert (await session.execute(END)).scalar_one() == 1

        async def is_gone() -> bool:
            async with other.begin() as session:
                return bool((await session.execute(END)).scalar_one() == 0)

        await eventually(is_gone, within=5)
        await asyncio.sleep(0.2)  # the end of the connection has come across
        async with kept.begin() as session:
            assert (await session.execute(PID)).scalar_one() != before
