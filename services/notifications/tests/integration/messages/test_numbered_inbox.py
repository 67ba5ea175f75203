"""A town that already has messages: they are numbered in the order of their time, and what comes is behind them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from town_kit.db import migrations
from town_kit.ids import new_id
from town_kit.testing import PostgresServer
from town_kit.testing.postgres import in_thread
from town_notifications.main import MIGRATIONS

BEGAN = datetime(2027, 1, 12, 1, tzinfo=UTC)
INSERT = """INSERT INTO messages (id, version, event_sequence, person_id, source_event_id, recipient_key, kind,
    priority, language, template_version, title, body, unreached, state, created_at, hand_over_at, valid_until)
    VALUES ($1, 1, 1, $1, $1, $2, 'application.approved', 'ordinary', 'ja', '1', 't', 'b', 'letters', 'queued',
            $3, $3, $3)"""


async def test_messages_from_before_are_numbered_by_their_time(postgres_server: PostgresServer) -> None:
    urls = postgres_server.create_database("notifications_old")
    in_thread(migrations.upgrade, urls.owner_url, MIGRATIONS, "0004")
    town = await asyncpg.connect(urls.app_dsn)
    await town.execute("SELECT set_config('town.role', 'service', false)")
    try:
        for minutes in (2, 0, 1):
            await insert(town, BEGAN + timedelta(minutes=minutes))
        in_thread(migrations.upgrade, urls.owner_url, MIGRATIONS, "0005")
        await insert(town, BEGAN - timedelta(days=1))
        rows = await town.fetch("SELECT created_at - $1::timestamptz AS after FROM messages ORDER BY position", BEGAN)
        assert [row["after"] for row in rows] == [*(timedelta(minutes=m) for m in range(3)), -timedelta(days=1)]
    finally:
        await town.close()


async def insert(town: Any, at: datetime) -> None:
    message = new_id()
    await town.execute(INSERT, message, str(message), at)
