"""A migration and a change of keys that are killed half way leave what works, and can be done again."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from town_identity.keys import KeyRing, create_ring, rotate
from town_kit import failpoints
from town_kit.db import migrations
from town_kit.testing import PostgresServer
from town_procedures.main import MIGRATIONS

MIGRATE = """import sys; from pathlib import Path; from town_kit.db import migrations
migrations.upgrade(sys.argv[1], Path(sys.argv[2]))"""
ROTATE = "import sys; from pathlib import Path; from town_identity.keys import rotate; rotate(Path(sys.argv[1]))"
TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


def run(script: str, *arguments: str, **environment: str) -> int:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=os.environ | environment, check=False, timeout=60).returncode


async def test_a_migration_killed_half_way_leaves_the_database_as_it_was(postgres_server: PostgresServer) -> None:
    urls = postgres_server.create_database("half_way")
    owner = await asyncpg.connect(urls.owner_dsn)
    before = await owner.fetchval(TABLES)

    assert run(MIGRATE, urls.owner_url, str(MIGRATIONS), **{failpoints.SETTING: "mid-migration:kill"}) == -9

    assert await owner.fetchval(TABLES) == before
    assert run(MIGRATE, urls.owner_url, str(MIGRATIONS)) == 0
    assert await owner.fetchval("SELECT version_num FROM alembic_version") == migrations.head(MIGRATIONS)
    await owner.close()


@pytest.mark.parametrize("place", ["before-list", "after-list"])
def test_a_change_of_keys_killed_half_way_leaves_a_ring_that_signs_and_knows_the_old_key(
    tmp_path: Path, place: str
) -> None:
    ring = tmp_path / "ring"
    signing = create_ring(ring).active.kid
    armed = tmp_path / f"mid-key-rotation.{place}"
    armed.touch()

    assert run(ROTATE, str(ring), **{failpoints.FOLDER: str(tmp_path)}) == -9

    assert not armed.exists()
    left = KeyRing.load(ring)
    assert signing in left.public
    assert (left.active.kid == signing) is (place == "before-list")
    rotate(ring)  # ends what was begun, and begins no other: tokens of the last minutes still hold
    assert KeyRing.load(ring).active.kid != signing
    assert signing in KeyRing.load(ring).public
