"""A schema older than the code: the process lives and is not ready until somebody migrates."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from town_identity.main import MIGRATIONS, create_service
from town_kit.cli import service_cli
from town_kit.db import migrations
from town_kit.testing import PostgresServer
from town_kit.testing.postgres import in_thread


@pytest.mark.runbook("スキーマが古い")
async def test_on_an_old_schema_nobody_is_served_until_it_is_migrated(
    serve: Any, make_settings: Any, postgres_server: PostgresServer
) -> None:
    urls = postgres_server.create_database("identity_old")
    in_thread(migrations.upgrade, urls.owner_url, Path(MIGRATIONS), "0002")
    api = await serve(database_url=urls.app_url)
    unready = await api.client.get("/readyz")
    assert (unready.status_code, unready.json()["checks"]["migrations"]) == (503, "failed")
    assert (await api.client.get("/livez")).status_code == 200
    settings = make_settings(database_url=urls.app_url, owner_url=urls.owner_url)
    done = in_thread(CliRunner().invoke, service_cli(lambda: create_service(settings)), ["migrate"])
    assert done.exit_code == 0, done.output
    api = await serve(database_url=urls.app_url)
    assert (await api.client.get("/readyz")).json()["checks"]["migrations"] == "ok"
