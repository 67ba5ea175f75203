"""The databases of the town on its own server: made, given their roles, and migrated by the services that own them."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from town_kit.db import migrations, provision
from town_kit.db.provision import DatabaseUrls
from town_kit.messaging import pglog
from town_onebox.secrets import Passwords

BACKUP_ROLE = "town_backup"
EVENT_LOG = "events_"


async def make(admin_dsn: str, databases: Mapping[str, Passwords]) -> dict[str, DatabaseUrls]:
    """Make the databases that are missing, with their owner and application roles."""
    made = {}
    for name, passwords in databases.items():
        made[name] = await provision.database(
            admin_dsn, name, owner_password=passwords.owner, app_password=passwords.app
        )
    return made


def provide(
    admin_dsn: str,
    databases: Mapping[str, Passwords],
    folders: Mapping[str, Path],
    *,
    backup_password: str,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Make every database and bring those with a migrations folder to head.

    Args:
        admin_dsn: superuser of the server.
        databases: name → passwords of its roles.
        folders: database → its migrations.
        backup_password: of the role that may read everything.
        progress: told what is being done.
    """
    progress("databases and roles")
    urls = asyncio.run(make(admin_dsn, databases))
    asyncio.run(provision.backup_role(admin_dsn, BACKUP_ROLE, backup_password, tuple(urls)))
    for name, folder in folders.items():
        progress(f"tables of {name}")
        migrations.upgrade(urls[name].owner_url, folder)
    progress("event logs")
    for name in (name for name in urls if name.startswith(EVENT_LOG)):
        asyncio.run(pglog.install(urls[name].owner_dsn))
