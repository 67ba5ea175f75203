"""The server of our own: durable, closed to strangers, silent about values, and back after a crash."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from town_kit.db import provision, server
from town_kit.db.server_files import NoServer, account_for_server, binaries_for
from town_kit.testing import PostgresServer


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that the server's account can walk to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="town-server-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder / "server"
    shutil.rmtree(folder)


async def test_a_killed_server_continues_with_what_was_committed(directory: Path) -> None:
    first = server.start(directory)
    connection = await asyncpg.connect(first.admin_dsn)
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(10)

    second = server.start(directory)
    try:
        connection = await asyncpg.connect(second.admin_dsn)
        assert await connection.fetchval("SELECT n FROM kept") == 7
        assert second.port == first.port
        await connection.close()
    finally:
        second.stop()
    assert not second.alive()


async def test_the_lock_file_of_a_process_that_is_something_else_now_does_not_stop_the_server(directory: Path) -> None:
    first = server.start(directory)
    first.stop()
    (first.data / "postmaster.pid").write_text(f"1\n{first.data}\n")
    second = server.start(directory)
    second.stop()


async def test_it_is_durable_and_keeps_values_out_of_its_log(directory: Path) -> None:
    running = server.start(directory)
    try:
        connection = await asyncpg.connect(running.admin_dsn)
        for name, value in {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}.items():
            assert await connection.fetchval("SELECT current_setting($1)", name) == value
        await connection.execute("CREATE TABLE persons (name text UNIQUE)")
        for _ in range(2):
            with suppress(asyncpg.UniqueViolationError):
                await connection.execute("INSERT INTO persons VALUES ('穴水花子')")
        await connection.close()
    finally:
        running.stop()
    log = running.log.read_text()
    assert "duplicate key" in log
    assert "穴水花子" not in log


async def test_a_wrong_password_is_refused(postgres_server: PostgresServer) -> None:
    urls = postgres_server.create_database("passwords")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(urls.app_dsn.replace(":test@", ":wrong@"))


async def test_the_application_role_owns_nothing_and_makes_nothing(postgres_server: PostgresServer) -> None:
    urls = postgres_server.create_database("ownership")
    connection = await asyncpg.connect(urls.app_dsn)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE mine (n int)")
    await connection.close()


async def test_no_role_of_one_database_may_enter_another(postgres_server: PostgresServer) -> None:
    here, there = postgres_server.create_database("here"), postgres_server.create_database("there")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(here.app_dsn.rsplit("/", 1)[0] + "/" + there.name)


async def test_the_backup_role_reads_through_row_security(postgres_server: PostgresServer) -> None:
    urls = postgres_server.create_database("backup")
    owner = await asyncpg.connect(urls.owner_dsn)
    await owner.execute("CREATE TABLE hidden (n int)")
    await owner.execute("INSERT INTO hidden VALUES (1)")
    await owner.execute("ALTER TABLE hidden ENABLE ROW LEVEL SECURITY")
    await owner.execute("ALTER TABLE hidden FORCE ROW LEVEL SECURITY")
    assert await owner.fetchval("SELECT count(*) FROM hidden") == 0
    await owner.close()
    role = f"{urls.name}_backup"
    await provision.backup_role(postgres_server.admin_dsn, role, "test", (urls.name,))
    backup = await asyncpg.connect(urls.app_dsn.replace(f"{urls.name}_app", role))
    assert await backup.fetchval("SELECT count(*) FROM hidden") == 1
    await backup.close()
    admin = await asyncpg.connect(postgres_server.admin_dsn)  # nobody else of this server is to meet such a role
    await admin.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    await admin.close()


def test_production_refuses_a_server_that_may_lose_a_commit(tmp_path: Path) -> None:
    with pytest.raises(server.ServerError, match="durability"):
        server.start(tmp_path, fast=True, environment="production")


def test_data_of_a_version_nobody_can_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="PostgreSQL 12 is needed"):
        binaries_for(account_for_server(), version="12")
