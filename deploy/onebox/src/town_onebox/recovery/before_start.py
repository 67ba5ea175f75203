"""What a restored or promoted town is given before its first start, whatever the machine before it was doing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from town_kit.db import server
from town_onebox import secrets
from town_onebox.place import Place
from town_onebox.recovery.backup import Tell, admin_dsn
from town_onebox.registry import ENTRIES, Entry


async def here(place: Place, port: int) -> list[Entry]:
    """The services whose database stands on this server: one machine may hold one zone."""
    connection = await asyncpg.connect(admin_dsn(place, port))
    try:
        names = {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
    finally:
        await connection.close()
    return [entry for entry in ENTRIES if entry.name in names]


async def stand_alone(dsn: str) -> None:
    """Let a server wait for no standby and follow nobody: its settings are those of the machine that is gone.

    With them it would acknowledge nothing, the first statement of a restore included.
    """
    connection = await asyncpg.connect(dsn)
    try:
        for setting in ("synchronous_standby_names", "primary_conninfo", "primary_slot_name"):
            await connection.execute(f"ALTER SYSTEM RESET {setting}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def leave_out(place: Place, port: int, of: Sequence[Entry]) -> list[str]:
    """Skip the numbers that may have been given since the backup; answers what was skipped, for the operator."""
    told = []
    for entry in of:
        async with _owner(place, port, entry) as connection:
            for skip in entry.restoring.skips:
                told += [f"{skip.label}: {row[0]}" for row in await connection.fetch(skip.statement)]
    return told


async def free(place: Place, port: int, of: Sequence[Entry], tell: Tell) -> None:
    """Give back what workers of the machine that is gone had in hand; its claims would end minutes after the start."""
    freed = 0
    for entry in of:
        async with _owner(place, port, entry) as connection:
            for statement in entry.restoring.claims:
                freed += len(await connection.fetch(statement))
    if freed:
        tell(f"    失われた機械が送りかけていた {freed} 件は、起動するとすぐに引き継がれます")


@asynccontextmanager
async def _owner(place: Place, port: int, entry: Entry) -> AsyncIterator[Any]:
    passwords = secrets.read_vault(place).databases if entry.vault else secrets.read(place).databases
    dsn = server.dsn(server.HOST, port, f"{entry.name}_owner", passwords[entry.name].owner, entry.name)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT set_config('town.role', 'service', false)")
        yield connection
    finally:
        await connection.close()
