"""Commands of one box: run, serve, reset, and those for when it burns."""

import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from town_kit.db.server_files import NoServer
from town_kit.messaging.kafka_node import NoKafka
from town_onebox import distributed, operate, town
from town_onebox.assembly import Town
from town_onebox.choices import LOOPBACK, Choices, chosen
from town_onebox.journey.run import journey
from town_onebox.options import Environment, Host, Sandbox, WebProcesses, Zones
from town_onebox.recovery import commands
from town_onebox.supervisor import Part

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="一台で動く町")
Directory = Annotated[Path, typer.Option(help="町の場所")]


class Mode(StrEnum):
    """Ways to run the same code."""

    ONEBOX = "onebox"
    DISTRIBUTED = "distributed"


@app.command()
def serve(
    directory: Directory = Path(".town"),
    zones: Zones = None,
    host: Host = None,
    environment: Environment = None,
    sandbox: Sandbox = None,
    web_processes: WebProcesses = None,
) -> None:
    """町を動かす(試験用の申請は流さない)。付けない項目は前回の起動と同じです。"""
    given = chosen(
        directory, zones=zones, host=host, sandbox=sandbox, environment=environment, web_processes=web_processes
    )
    sys.exit(town.run(given, Console(stderr=True)))


@app.command()
def run(
    directory: Directory = Path(".town"),
    mode: Annotated[Mode, typer.Option(help="onebox(一台)または distributed(サービスごとに 1 プロセス)")] = Mode.ONEBOX,
    once: Annotated[bool, typer.Option("--once", help="一巡で終わる(全工程が答えれば 0)")] = False,
    host: Annotated[str, typer.Option(help="gateway が待ち受けるアドレス")] = LOOPBACK,
) -> None:
    """試験用の町を模擬の外部とともに動かし、申請を一件、全工程に通す。Ctrl-C で止まります。"""
    console = Console()

    def last(started: Town) -> list[Part]:
        travel = partial(journey, started, console, once=once, mode=mode.value)
        return [Part("journey", travel, terminal=True, final=once)]

    trial = Choices(directory, host=host)
    sys.exit((distributed.run if mode is Mode.DISTRIBUTED else town.run)(trial, console, last))


@app.command()
def reset(directory: Directory = Path(".town")) -> None:
    """町のデータと鍵をすべて消す。"""
    town.reset(directory)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def service(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="サービスの名前(procedures、identity など)")],
    directory: Directory = Path(".town"),
) -> None:
    """サービスのコマンドを、この町の設定で実行する。例: service procedures dead-letters list"""
    operate.run(directory, name, context.args)


commands.add_to(app)


def main() -> None:
    """The entry point; what an operator can mend is told in one sentence."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (NoServer, NoKafka, RuntimeError, ValueError) as failure:
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        sys.exit(1)
