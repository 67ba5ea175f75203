"""The databases of the gateway and of the connector, as their migrations make them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from town_kit.db import Database
from town_kit.testing import PostgresServer

MIGRATIONS = Path(__file__).parents[2] / "migrations"


@pytest.fixture(scope="session")
def gateway_url(postgres_server: PostgresServer) -> str:
    """URL of the gateway's application role."""
    return postgres_server.create_database("gateway", MIGRATIONS / "gateway").app_url


@pytest.fixture(scope="session")
def connector_url(postgres_server: PostgresServer) -> str:
    """URL of the connector's application role."""
    return postgres_server.create_database("connector", MIGRATIONS / "connector").app_url


@pytest.fixture
async def gateway_database(gateway_url: str) -> AsyncIterator[Database]:
    """The gateway's database."""
    database = Database(gateway_url)
    async with database.running():
        yield database


@pytest.fixture
async def connector_database(connector_url: str) -> AsyncIterator[Database]:
    """The connector's database."""
    database = Database(connector_url)
    async with database.running():
        yield database
