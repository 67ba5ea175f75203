"""The sandbox's card reader at a shell: ``python -m town_sandbox.jpki card sign application.json --card hanako``."""

import base64
import sys
from pathlib import Path
from typing import Annotated

import typer

from town_kit.clock import SystemClock
from town_sandbox.jpki.authority import JpkiTestAuthority
from town_sandbox.jpki.cards import VirtualCard
from town_sandbox.jpki.holders import DEMO_HOLDERS
from town_sandbox.jpki.number_links import number_link_file

DEFAULT_FOLDER = Path(".town/sandbox/jpki")
Folder = Annotated[Path, typer.Option(help="where the test authority and the cards are kept")]
CardName = Annotated[str, typer.Option("--card", help="one of: " + ", ".join(DEMO_HOLDERS))]
Input = Annotated[Path, typer.Argument(help="file to read, or - for standard input")]

app = typer.Typer(no_args_is_help=True, help="公的個人認証の試験用認証局と仮想カード (sandbox only)")
card_commands = typer.Typer(no_args_is_help=True, help="仮想マイナンバーカードで署名・ログインする")
ca_commands = typer.Typer(no_args_is_help=True, help="試験用認証局")
app.add_typer(card_commands, name="card")
app.add_typer(ca_commands, name="ca")


def open_card(name: str, folder: Path = DEFAULT_FOLDER) -> VirtualCard:
    """A demo card by name, issued at the first call; raises ``KeyError`` for another name."""
    authority = JpkiTestAuthority.open(folder)
    return VirtualCard.open(authority, DEMO_HOLDERS[name], folder / "cards" / name, SystemClock().now())


@card_commands.command("list")
def list_cards() -> None:
    """List the demo cards (見本の人物)."""
    for name, holder in DEMO_HOLDERS.items():
        typer.echo(f"{name}\t{holder.name}\t{holder.birth}")


@card_commands.command("sign")
def sign(file: Input, card: CardName = "hanako", folder: Folder = DEFAULT_FOLDER) -> None:
    """Sign the bytes of a file with the 署名用 key; prints the detached CMS as base64."""
    cms = open_card(card, folder).sign(_read(file), SystemClock().now())
    typer.echo(base64.b64encode(cms).decode())


@card_commands.command("login")
def login(to_be_signed: str, card: CardName = "hanako", folder: Folder = DEFAULT_FOLDER) -> None:
    """Answer a login challenge (base64 of its bytes) with the 利用者証明用 key; prints JSON for a resident session."""
    opened = open_card(card, folder)
    signature = base64.b64encode(opened.sign_login(base64.b64decode(to_be_signed, validate=True))).decode()
    typer.echo(f'{{"certificate":"{base64.b64encode(opened.auth_der).decode()}","signature":"{signature}"}}')


@ca_commands.command("init")
def init(folder: Folder = DEFAULT_FOLDER) -> None:
    """Make the authority, its anchors and the demo cards, and publish revocation lists."""
    authority = JpkiTestAuthority.open(folder)
    authority.publish_crls(folder / "crl", SystemClock().now())
    for name in DEMO_HOLDERS:
        open_card(name, folder)
    typer.echo(f"anchors: {folder / 'anchors'}  lists: {folder / 'crl'}")


@ca_commands.command("number-links")
def number_links(folder: Folder = DEFAULT_FOLDER) -> None:
    """Write the 番号紐付 file of the demo cards to standard output."""
    cards = [open_card(name, folder) for name in DEMO_HOLDERS]
    sys.stdout.buffer.write(number_link_file(JpkiTestAuthority.load(folder), cards))


@ca_commands.command("crl")
def crl(folder: Folder = DEFAULT_FOLDER) -> None:
    """Publish new revocation lists."""
    JpkiTestAuthority.load(folder).publish_crls(folder / "crl", SystemClock().now())


@ca_commands.command("revoke")
def revoke(card: CardName, folder: Folder = DEFAULT_FOLDER) -> None:
    """Revoke both certificates of a card from now on and publish new lists."""
    authority, opened, now = JpkiTestAuthority.load(folder), open_card(card, folder), SystemClock().now()
    authority.revoke(opened.sign_certificate, now)
    authority.revoke(opened.auth_certificate, now)
    authority.save(folder)
    authority.publish_crls(folder / "crl", now)


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
