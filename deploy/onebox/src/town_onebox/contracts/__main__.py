"""``python -m town_onebox.contracts [--check] [folder]``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from town_onebox.contracts import generate as contracts
from town_onebox.contracts.breaking import last_release, since_last_release


def main(
    folder: Annotated[Path, typer.Argument()] = Path("contracts"),
    check: Annotated[
        bool, typer.Option("--check", help="only say what differs or breaks; 1 when something does")
    ] = False,
) -> None:
    """Write the contracts, or say what differs from the committed ones."""
    files = contracts.generate()
    differing = contracts.stale(folder, files)
    if check:
        for name in differing:
            print(f"{folder / name} is not what the code says; run: make contracts", file=sys.stderr)
        if last_release(folder) is None:
            print("contracts: no release (tag v…) yet, so there is nothing they could break")
        broken = since_last_release(folder, files)
        for what in broken:
            print(f"{folder / what} (since the last release)", file=sys.stderr)
        sys.exit(bool(differing or broken))
    contracts.write(folder, files)
    print(f"{len(files)} contracts, {len(differing)} changed")


if __name__ == "__main__":
    typer.run(main)
