"""Every migration goes up and down, and what the models say is what the tables are."""

from pathlib import Path

import pytest

from town_kit.db import migrations
from town_kit.testing import PostgresServer
from town_kit.testing.postgres import in_thread
from town_onebox.registry import ENTRIES


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_migrations_go_up_and_down_and_up_again(postgres_server: PostgresServer, entry: object) -> None:
    folder: Path = entry.migrations
    urls = postgres_server.create_database(f"migrations_{entry.name}")
    in_thread(migrations.upgrade, urls.owner_url, folder)
    in_thread(migrations.downgrade, urls.owner_url, folder)
    in_thread(migrations.upgrade, urls.owner_url, folder)
