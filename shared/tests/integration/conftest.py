"""A database with the kit's tables and nothing else, as each service has them."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.testing.postgres import PostgresServer

ENVIRONMENT = "from town_kit.db.migrations import run_env\n\nrun_env()\n"
FIRST = """from alembic import op

from town_kit.db.migrations import create_kit_tables, drop_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables(op)


def downgrade() -> None:
    drop_kit_tables(op)
"""
_numbers = itertools.count()


@pytest.fixture(scope="session")
def kit_migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrations folder that makes the kit's tables."""
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "versions").mkdir()
    (folder / "env.py").write_text(ENVIRONMENT)
    (folder / "versions" / "0001_kit_tables.py").write_text(FIRST)
    return folder


@pytest.fixture(scope="session")
def kit_urls(postgres_server: PostgresServer, kit_migrations: Path) -> DatabaseUrls:
    """A database that tests share, each with its own ids."""
    return postgres_server.create_database("kit", kit_migrations)


@pytest.fixture
async def database(kit_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """The shared database as the application role."""
    async with Database(kit_urls.app_url).running() as opened:
        yield opened


@pytest.fixture
def own_urls(postgres_server: PostgresServer, kit_migrations: Path) -> DatabaseUrls:
    """A database for this test alone."""
    return postgres_server.create_database(f"kit_{next(_numbers)}", kit_migrations)


@pytest.fixture
async def own_database(own_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A database for this test alone, as the application role."""
    async with Database(own_urls.app_url).running() as opened:
        yield opened
