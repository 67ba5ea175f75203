"""A standby has what was acknowledged, and is promoted only where nobody else answers."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from rich.console import Console

from town_kit.db import server
from town_onebox import testing, town, vault_user
from town_onebox.choices import Choices
from town_onebox.place import Place
from town_onebox.recovery import standby
from town_onebox.recovery.backup import NotPossible, admin_dsn
from town_onebox.town import DatabaseServer

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("recovery")]
WAITING = "追いかけています"


def quiet(_: str) -> None:
    """Nobody listens."""


def ask(place: Place, query: str, *, seconds: float = 10.0, database: str = "postgres") -> Any:
    """One value, as the superuser of a place's server that runs."""

    async def one() -> Any:
        port = int((place.postgres / "postgres.port").read_text())
        connection = await asyncpg.connect(admin_dsn(place, port, database), timeout=5)
        try:
            return await connection.fetchval(query, timeout=seconds)
        finally:
            connection.terminate()

    return asyncio.run(one())


@pytest.fixture
def primary() -> Iterator[tuple[Place, DatabaseServer]]:
    """A town's server, without its processes."""
    with testing.directory() as directory:
        place = Place(directory)
        place.make()
        database = DatabaseServer(place, "production")
        account, _ = vault_user.account()
        choices = Choices(directory, sandbox=False)
        try:
            town.set_up(place, choices, account, database.server.admin_dsn, Console(quiet=True))
            yield place, database
        finally:
            database.stop()


OFTEN = """import sys
from pathlib import Path
from town_onebox.recovery import standby
standby.WATCH_SECONDS = 1.0
standby.make(*map(Path, sys.argv[1:]), synchronous=False, tell=lambda text: print(text, flush=True))
"""


def following(place: Place, other: Path, *, watched_often: bool = False) -> "subprocess.Popen[bytes]":
    """A standby that follows: a synchronous one, or another that looks every second how far it is behind."""
    told = other.with_name("standby.out")
    command = ["-m", "town_onebox", "standby", "--of", str(place.directory), "--directory", str(other), "--synchronous"]
    if watched_often:
        command = ["-c", OFTEN, str(place.directory), str(other)]
    with told.open("wb") as output:
        process = subprocess.Popen([sys.executable, *command], stdout=output, stderr=output)
    give_up = time.monotonic() + 60
    while WAITING not in told.read_text("utf-8"):
        assert process.poll() is None, told.read_text("utf-8")
        assert time.monotonic() < give_up, told.read_text("utf-8")
        time.sleep(0.1)
    return process


def burn(place: Place, database: DatabaseServer) -> None:
    """Kill the server without a word, and take its folder away."""
    postmaster = database.server.process.pid
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    database.server.process.wait()
    shutil.rmtree(place.postgres)


# A delivery whose worker sends it just now; its message is not looked for.
IN_HAND = """WITH alone AS (SELECT set_config('session_replication_role', 'replica', false) AS role)
    INSERT INTO deliveries
        (id, message_id, person_id, channel, target_id, lane, state, tries, next_attempt_at, created_at)
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'push', gen_random_uuid(), 'emergency', 'sending',
        1, now() + interval '7 minutes', now()
    FROM alone WHERE role IS NOT NULL"""


def test_what_was_acknowledged_is_on_the_standby_which_is_promoted_once_the_primary_is_gone(
    primary: tuple[Place, DatabaseServer],
) -> None:
    place, database = primary
    other = place.directory.with_name("other-storage")
    process = following(place, other)
    try:
        with pytest.raises(NotPossible, match="本番がまだ答えています"):
            standby.promote(other, quiet, primary=place.directory)
        ask(place, "CREATE TABLE kept AS SELECT 7 AS number")
        ask(place, IN_HAND, database="notifications")
        burn(place, database)

        promoted = standby.promote(other, quiet, primary=place.directory)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    running = server.start(promoted.postgres)
    try:
        assert ask(promoted, "SELECT number FROM kept") == 7
        assert ask(promoted, "SELECT next_attempt_at <= now() FROM deliveries", database="notifications") is True
        assert ask(promoted, "SELECT pg_is_in_recovery()") is False
        assert ask(promoted, "SHOW synchronous_standby_names") == ""
        assert promoted.vault_private_key.exists()
        with pytest.raises(NotPossible):
            standby.promote(other, quiet)
    finally:
        running.stop()
        town.reset(other)


def test_a_primary_waits_for_its_standby_until_it_is_released(primary: tuple[Place, DatabaseServer]) -> None:
    place, _ = primary
    other = place.directory.with_name("other-storage")
    process = following(place, other)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    try:
        with pytest.raises((TimeoutError, asyncpg.PostgresError)):
            ask(place, "CREATE TABLE waits ()", seconds=3.0)
        standby.release(place.directory, quiet)
        ask(place, "CREATE TABLE goes_on ()")
        assert ask(place, "SELECT count(*) FROM pg_replication_slots") == 0
    finally:
        town.reset(other)


def test_a_standby_that_falls_behind_says_so_and_says_when_it_has_caught_up(
    primary: tuple[Place, DatabaseServer],
) -> None:
    place, database = primary
    other = place.directory.with_name("other-storage")
    process = following(place, other, watched_often=True)
    told = other.with_name("standby.out")
    try:
        ask(place, "CREATE TABLE first ()")
        time.sleep(2.5)
        assert standby.BEHIND not in told.read_text("utf-8")
        receiver = ask(Place(other), "SELECT pid FROM pg_stat_wal_receiver")
        os.kill(receiver, signal.SIGSTOP)
        ask(place, "CREATE TABLE second ()")
        hear(told, standby.BEHIND)
        os.kill(receiver, signal.SIGCONT)
        hear(told, standby.CAUGHT_UP)
        database.stop()
        hear(told, standby.SILENT)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        town.reset(other)


def hear(told: Path, text: str) -> None:
    """Wait until the standby has said something."""
    give_up = time.monotonic() + 20
    while text not in told.read_text("utf-8"):
        assert time.monotonic() < give_up, told.read_text("utf-8")
        time.sleep(0.1)
