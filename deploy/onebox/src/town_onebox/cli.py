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
from town_kit.settings import Zone
from town_onebox import distributed, operate, town
from town_onebox.assembly import Town
from town_onebox.journey.run import journey
from town_onebox.recovery import commands
from town_onebox.supervisor import Part
from town_onebox.town import Choices

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="The whole town on one box."
)
Directory = Annotated[Path, typer.Option(help="where everything is kept")]
Zones = Annotated[list[Zone] | None, typer.Option(help="run these zones only (again for each)")]


class Mode(StrEnum):
    """Ways to run the same code."""

    ONEBOX = "onebox"
    DISTRIBUTED = "distributed"


@app.command()
def serve(
    directory: Directory = Path(".town"),
    zones: Zones = None,
    host: Annotated[str, typer.Option(help="address the gateway listens on")] = "127.0.0.1",
    environment: Annotated[str, typer.Option(help="development or production")] = "production",
    sandbox: Annotated[bool, typer.Option(help="bring the simulated outside world along")] = False,
) -> None:
    """Serve the town, without a journey."""
    chosen = Choices(directory, frozenset(zones or Zone), host, sandbox, environment)
    sys.exit(town.run(chosen, Console(stderr=True)))


@app.command()
def run(
    directory: Directory = Path(".town"),
    mode: Annotated[Mode, typer.Option(help="onebox or distributed")] = Mode.ONEBOX,
    once: Annotated[bool, typer.Option("--once", help="end after the journey: 0 if every hop answered")] = False,
    host: Annotated[str, typer.Option(help="address the gateway listens on")] = "127.0.0.1",
) -> None:
    """Start the town with the sandbox, send one application through it, and serve until Ctrl-C."""
    console = Console()

    def last(started: Town) -> list[Part]:
        travel = partial(journey, started, console, once=once, mode=mode.value)
        return [Part("journey", travel, terminal=True, final=once)]

    chosen = Choices(directory, host=host)
    sys.exit((distributed.run if mode is Mode.DISTRIBUTED else town.run)(chosen, console, last))


@app.command()
def reset(directory: Directory = Path(".town")) -> None:
    """Remove the town's data and secrets."""
    town.reset(directory)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def service(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="procedures, identity, …")],
    directory: Directory = Path(".town"),
) -> None:
    """Run a command of one service with its settings here: service procedures dead-letters list."""
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
