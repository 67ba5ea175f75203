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
callbacks = typer.Typer(no_args_is_help=True, help="事業者の通知先(コールバック)")
gateway.add_typer(callbacks, name="callbacks")


@callbacks.command("parked")
def parked_command() -> None:
    """保留した配信を、古い順に示す。"""
    rows = asyncio.run(_parked(create_service(GatewaySettings()).database))
    console = Console()
    for row in rows:
        at = row.occurred_at.astimezone(JST).isoformat(timespec="seconds")
        last = row.result or "-"
        told = f"{row.id}  {at}  {row.event_type}  {row.client_id} ({row.callback_state})"
        console.print(f"{told}  {row.attempts} 回、最後の結果 {last}", highlight=False)
    console.print(f"保留 {len(rows)} 件")


@callbacks.command("retry")
def retry_command(
    delivery: Annotated[UUID | None, typer.Argument(help="配信の番号。なければ --client の分すべて")] = None,
    client: Annotated[str | None, typer.Option(help="この利用システムの保留をすべて")] = None,
) -> None:
    """同じ識別子で、はじめから送り直す。止まった通知先の分は保留のまま。"""
    if (delivery is None) == (client is None):
        raise typer.BadParameter("配信の番号か --client のどちらか一つを示してください。")
    count = asyncio.run(_retry(create_service(GatewaySettings()).database, delivery, client))
    Console().print(f"{count} 件を送り直します")


async def _parked(database: Database) -> Sequence[Any]:
    async with database.running(), database.begin() as session:
        return await callback_repository.parked(session)


async def _retry(database: Database, delivery: UUID | None, client: str | None) -> int:
    async with database.running(), database.begin() as session:
        now = SystemClock().now()
        return await callback_repository.retry(session, now, delivery=delivery, client=client)


@connector.command("waiting")
def waiting_command() -> None:
    """procedures やポータルにまだ届いていないものを、古い順に示す。"""
    service = made(lambda: create_connector(ConnectorSettings()))
    rows = finished(service, _waiting(service.database))
    console = Console()
    for row in rows:
        since = row.since.astimezone(JST).isoformat(timespec="seconds")
        fate = row.settlement or f"次は {row.next_attempt_at.astimezone(JST).isoformat(timespec='seconds')}"
        console.print(f"{since}  {row.kind}  {row.receipt_no}  {row.attempts} 回  {fate}", highlight=False)
    console.print(f"待ち {len(rows)} 件")


async def _waiting(database: Database) -> Sequence[Row[Any]]:
    async with database.running(), database.begin() as session:
        return await repository.waiting(session)
