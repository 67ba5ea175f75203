"""The commands for when the box burns; what they say is for the people who run the town."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from town_kit.restoring import Entries, Lists
from town_onebox import town
from town_onebox.choices import chosen
from town_onebox.options import Environment, Host, Sandbox, WebProcesses, Zones
from town_onebox.place import Place
from town_onebox.recovery import lists, reconcile, standby
from town_onebox.recovery.backup import NotPossible, backup
from town_onebox.recovery.restore import restore

Directory = Annotated[Path, typer.Option(help="町の場所")]
_console = Console(stderr=True)


def _tell(line: str) -> None:
    _console.print(line, highlight=False, soft_wrap=True, markup=False)


def backup_command(
    to: Annotated[Path, typer.Option(help="控えを置く新しいフォルダ(町とは別のディスク)")],
    keys_to: Annotated[Path | None, typer.Option(help="鍵の控えを置く新しいフォルダ(控えとは別の場所)")] = None,
    directory: Directory = Path(".town"),
) -> None:
    """控えを取る。町は動いたままでかまいません。鍵は別のフォルダに写します。"""
    backup(directory, to, keys_to or to.with_name(to.name + "-keys"), _tell)


def restore_command(
    source: Annotated[Path, typer.Option("--from", help="控えのフォルダ")],
    keys_from: Annotated[Path | None, typer.Option(help="鍵の控えのフォルダ")] = None,
    directory: Directory = Path(".town"),
) -> None:
    """控えから、新しい場所に町を戻す。町がある場所には戻しません。"""
    restore(source, keys_from or source.with_name(source.name + "-keys"), directory, _tell)


def reconcile_command(
    directory: Directory = Path(".town"),
    outside: Annotated[Path | None, typer.Option(help="外の記録(*.jsonl)のフォルダ")] = None,
    logs: Annotated[Path | None, typer.Option(help="別の場所に控えた web のログのフォルダ")] = None,
    without_lists: Annotated[bool, typer.Option(help="外の記録がまったく手に入らない")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="結果を JSON で標準出力に書く")] = False,
) -> None:
    """戻した町を外の記録と照合する。起動の前に一度、起動してから何度でも。"""
    given = _lists(Place(directory.resolve()), outside, logs)
    if not given and not without_lists:
        raise NotPossible("外の記録がありません。--outside と --logs で示すか、無いときは --without-lists を付けます。")
    found = reconcile.reconcile(directory, given, _tell)
    if as_json:
        print(reconcile.as_json(found))


def _lists(place: Place, outside: Path | None, logs: Path | None) -> Lists:
    """The lists that were given; in a trial the sandbox has them."""
    found: dict[str, Entries] = {}
    if outside is not None:
        found.update(lists.read(outside))
    elif (place.sandbox / "addresses.json").exists():
        found.update(lists.sandbox(place.sandbox))
    if logs is not None:
        found["created"] = [*found.get("created", ()), *lists.created(logs)]
    return found


def standby_command(
    of: Annotated[Path, typer.Option(help="本番の町の場所")],
    directory: Annotated[Path, typer.Option(help="待機系の場所(別のディスク)")],
    synchronous: Annotated[bool, typer.Option(help="両方に書いてから答える(失うものはない)")] = False,
) -> None:
    """待機系を作り、止められるまで追いかけ続ける。"""
    standby.make(of, directory, synchronous=synchronous, tell=_tell)


def release_command(of: Annotated[Path, typer.Option(help="本番の町の場所")]) -> None:
    """待機系を外す。同期の待機系が壊れて、本番の書込みが止まったとき。"""
    standby.release(of, _tell)


def promote_command(
    directory: Annotated[Path, typer.Option(help="待機系の場所")],
    primary: Annotated[Path | None, typer.Option(help="本番の町の場所(まだ答えるなら昇格しない)")] = None,
    zones: Zones = None,
    host: Host = None,
    environment: Environment = None,
    sandbox: Sandbox = None,
    web_processes: WebProcesses = None,
) -> None:
    """待機系を本番にして、そのまま町を動かす。付けない項目は、本番の町の起動のしかたに従います。"""
    given = chosen(
        directory, zones=zones, host=host, sandbox=sandbox, environment=environment, web_processes=web_processes
    )
    town.in_child(lambda: town.refuse_unready(given))  # a promotion cannot be taken back
    standby.promote(directory, _tell, primary=primary)
    sys.exit(town.run(given, _console))


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line of one box."""
    for name, command in (
        ("backup", backup_command),
        ("restore", restore_command),
        ("reconcile", reconcile_command),
        ("standby", standby_command),
        ("release-standby", release_command),
        ("promote", promote_command),
    ):
        app.command(name)(command)
