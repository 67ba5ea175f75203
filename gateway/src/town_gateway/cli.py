"""Commands of the gateway and of the connector."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from sqlalchemy import Row

from town_gateway.main import create_connector, create_gateway, create_service
from town_gateway.mynaportal import repository
from town_gateway.settings import ConnectorSettings, GatewaySettings
from town_kit.cli import service_cli
from town_kit.clock import JST
from town_kit.db import Database

gateway = service_cli(lambda: create_service(GatewaySettings()), application=create_gateway)
connector = service_cli(lambda: create_connector(ConnectorSettings()))


@connector.command("waiting")
def waiting_command() -> None:
    """List what has not reached procedures or the portal yet, the oldest first."""
    rows = asyncio.run(_waiting(create_connector(ConnectorSettings()).database))
    console = Console()
    for row in rows:
        since = row.since.astimezone(JST).isoformat(timespec="seconds")
        fate = row.settlement or f"next attempt {row.next_attempt_at.astimezone(JST).isoformat(timespec='seconds')}"
        console.print(f"{since}  {row.kind}  {row.receipt_no}  {row.attempts} attempts  {fate}", highlight=False)
    console.print(f"{len(rows)} waiting")


async def _waiting(database: Database) -> Sequence[Row[Any]]:
    async with database.running(), database.begin() as session:
        return await repository.waiting(session)
