"""Commands of `identity`."""

from pathlib import Path

import typer

from town_identity.keys import create_ring, is_half_way, rotate
from town_identity.main import create_service
from town_identity.sealed_staff_accounts.commands import sealed_accounts
from town_identity.settings import IdentitySettings
from town_kit.cli import service_cli
from town_kit.service import Service


def _service() -> Service:
    return create_service(IdentitySettings())


app = service_cli(_service)
keys = typer.Typer(no_args_is_help=True, help="アクセストークンの署名鍵")
app.add_typer(keys, name="keys")
app.add_typer(sealed_accounts(_service), name="sealed-accounts")


@keys.command("create")
def create_keys(folder: Path) -> None:
    """鍵束を作る: 使う鍵を一つと、予告する次の鍵。"""
    typer.echo(f"使う鍵: {create_ring(folder).active.kid}")


@keys.command("rotate")
def rotate_keys(folder: Path) -> None:
    """予告した鍵で署名を始める。1 時間に 2 回行うと、使用中のトークンが断られる。"""
    half_way = is_half_way(folder)
    ring = rotate(folder)
    if half_way:
        typer.echo("途中で止まっていた切り替えを終えました。次の切り替えは 1 時間後からできます。")
    typer.echo(f"使う鍵: {ring.active.kid}")
