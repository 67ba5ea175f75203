"""`make bench`: runs the benchmarks and shows their figures, each with a reference measured in the same run."""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from tests.load.measure import Measure

NOT_BENCHES = {"__init__", "__main__", "measure", "ground", "box", "sending", "residents"}


def benches() -> list[str]:
    """The benchmarks there are: each module of this folder with a ``run()``."""
    found = {path.stem for path in Path(__file__).parent.glob("*.py")} - NOT_BENCHES
    return sorted(name for name in found if not name.startswith("test_"))


def main(arguments: Sequence[str]) -> int:
    """Run the chosen benchmarks; 1 when one of them could not be run."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of: {', '.join(benches())}")
    parser.add_argument("--json", action="store_true", default=os.environ.get("JSON") == "1", help="one object a line")
    chosen = parser.parse_args(arguments)
    names = [name.strip().replace("-", "_") for name in chosen.only.split(",") if name.strip()] or benches()
    unknown = set(names) - set(benches())
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(benches())}")
    progress = Console(stderr=True)
    found: list[Measure] = []
    failed = False
    for name in names:
        progress.print(f"{name} …", style="dim", highlight=False)
        try:
            measures = uvloop.run(importlib.import_module(f"tests.load.{name}").run())
        except Exception:
            progress.print_exception()
            failed = True
            continue
        found += measures
        if chosen.json:
            for measure in measures:
                print(json.dumps(asdict(measure)), flush=True)
    if found and not chosen.json:
        show(found)
    return int(failed)


def show(measures: Sequence[Measure]) -> None:
    """The table for people."""
    table = Table(title="Benchmarks")
    for heading in ("figure", "value", "unit", "reference", "ratio"):
        table.add_column(heading, justify="left" if heading in {"figure", "unit"} else "right", overflow="fold")
    for m in measures:
        table.add_row(m.name, _figure(m.value), m.unit, _figure(m.reference), _figure(m.ratio))
    Console(width=None if sys.stdout.isatty() else 120).print(table)  # a file is as wide as the figures' names


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
