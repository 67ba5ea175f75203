"""Commands of the gateway and of the connector."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy import Row

from town_gateway.callbacks import repository as callback_repository
from town_gateway.main import create_connector, create_gateway, create_service
from town_gateway.mynaportal import repository
from town_gateway.settings import ConnectorSettings, GatewaySettings
from town_kit.cli import finished, made, service_cli
from town_kit.clock import JST, SystemClock
from town_kit.db import Database

gateway = service_cli(lambda: create_service(GatewaySettings()), application=create_gateway)
connector = service_cli(lambda: create_connector(ConnectorSettings()))
callbacks = typer.Typer(no_args_is_help=True, help="Partners' callbacks.")
gateway.add_typer(callbacks, name="callbacks")


@callbacks.command("parked")
def parked_command() -> None:
    """List the deliveries that are not tried any more, oldest first."""
    rows = asyncio.run(_parked(create_service(GatewaySettings()).database))
    console = Console()
    for row in rows:
        at = row.occurred_at.astimezone(JST).isoformat(timespec="seconds")
        last = row.result or "-"
        told = f"{row.id}  {at}  {row.event_type}  {row.client_id} ({row.callback_state})"
        console.print(f"{told}  {row.attempts} attempts, last {last}", highlight=False)
    console.print(f"{len(rows)} parked")


@callbacks.command("retry")
def retry_command(
    delivery: Annotated[UUID | None, typer.Argument(help="One delivery; none: all of --client.")] = None,
    client: Annotated[str | None, typer.Option(help="All parked deliveries of this client.")] = None,
) -> None:
    """Begin the tries anew, under the same ids. What belongs to a disabled callback stays parked."""
    if (delivery is None) == (client is None):
        raise typer.BadParameter("name one delivery, or a client with --client")
    count = asyncio.run(_retry(create_service(GatewaySettings()).database, delivery, client))
    Console().print(f"{count} deliveries are tried again")


async def _parked(database: Database) -> Sequence[Any]:
    async with database.running(), database.begin() as session:
        return await callback_repository.parked(session)


async def _retry(database: Database, delivery: UUID | None, client: str | None) -> int:
    async with database.running(), database.begin() as session:
        now = SystemClock().now()
        return await callback_repository.retry(session, now, delivery=delivery, client=client)


@connector.command("waiting")
def waiting_command() -> None:
    """List what has not reached procedures or the portal yet, the oldest first."""
    service = made(lambda: create_connector(ConnectorSettings()))
    rows = finished(service, _waiting(service.database))
    console = Console()
    for row in rows:
        since = row.since.astimezone(JST).isoformat(timespec="seconds")
        fate = row.settlement or f"next attempt {row.next_attempt_at.astimezone(JST).isoformat(timespec='seconds')}"
        console.print(f"{since}  {row.kind}  {row.receipt_no}  {row.attempts} attempts  {fate}", highlight=False)
    console.print(f"{len(rows)} waiting")


async def _waiting(database: Database) -> Sequence[Row[Any]]:
    async with database.running(), database.begin() as session:
        return await repository.waiting(session)
