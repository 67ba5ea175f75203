"""Commands of `identity`."""

from pathlib import Path

import typer

from town_identity.keys import create_ring, rotate
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
    """Make a key ring: one active key, the next one announced."""
    typer.echo(f"active: {create_ring(folder).active.kid}")


@keys.command("rotate")
def rotate_keys(folder: Path) -> None:
    """Let the announced key sign. Not twice within an hour, or tokens in use are refused."""
    typer.echo(f"active: {rotate(folder).active.kid}")
