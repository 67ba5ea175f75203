"""Every outward field, code and rule that a file decides, with its source: official, observed or ours.

A file takes part when it marks anything with ``source``. In a profile (``profiles/`` or ``profile.yaml``) and in a rule
table (``rules/``) each value must stand under a mark, because all of it is about somebody else's system or the law;
elsewhere only what is marked is listed.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

MARKS = ("official", "observed", "ours")
COLOURS = {"official": "green", "observed": "cyan", "ours": "yellow"}
WHOLLY_MARKED = ("profiles", "rules")
NAMES_ONLY = frozenset({"name", "source", "version", "description", "basis", "url"})


@dataclass(frozen=True)
class Assumption:
    """One marked value: its file, its place in it, what it says, and where that is from (None: nobody said)."""

    file: Path
    place: str
    value: str
    source: str | None


def find(root: Path) -> list[Assumption]:
    """All marked values below ``root``, and the unmarked ones where every value must be marked."""
    found: list[Assumption] = []
    for path in sorted(root.glob("*/src/**/*.yaml")) + sorted(root.glob("*/*/src/**/*.yaml")):
        text = path.read_text(encoding="utf-8")
        strict = path.name == "profile.yaml" or bool({*path.parent.parts} & {*WHOLLY_MARKED})
        if "source:" in text or strict:
            document = yaml.safe_load(text)
            found.extend(_walk(path.relative_to(root), document, "", None, strict=strict))
    return found


def _walk(file: Path, value: Any, place: str, source: str | None, *, strict: bool) -> Iterator[Assumption]:
    if isinstance(value, dict):
        own = value.get("source", source)
        mark = str(own) if own in MARKS else None
        if "source" in value and mark is None:
            yield Assumption(file, place, str(value["source"]), None)
        if mark is not None and "source" in value and not _has_inner(value):
            yield Assumption(file, place, _short(value), mark)
            return
        for key, inner in value.items():
            if key not in NAMES_ONLY:
                yield from _walk(file, inner, f"{place}/{key}", mark, strict=strict)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for number, inner in enumerate(value):
            yield from _walk(file, inner, f"{place}/{number}", source, strict=strict)
    elif source is not None or strict:
        yield Assumption(file, place, str(value)[:60], source)


def _has_inner(value: dict[str, Any]) -> bool:
    return any(isinstance(inner, dict | list) and inner for key, inner in value.items() if key not in NAMES_ONLY)


def _short(value: dict[str, Any]) -> str:
    return ", ".join(f"{key}={inner}" for key, inner in value.items() if key != "source")[:60]


def main(root: Path = Path()) -> int:
    """Print the list; 1 when something that must be marked is not."""
    found = find(root)
    table = Table("source", "file", "place", "value", box=None, header_style="bold")
    for each in found:
        colour = COLOURS.get(each.source or "", "red")
        table.add_row(f"[{colour}]{each.source or 'UNMARKED'}[/]", str(each.file), each.place, each.value)
    unmarked = [each for each in found if each.source is None]
    if "--check" not in sys.argv:
        Console(width=None if sys.stdout.isatty() else 200).print(table)
    for each in unmarked:
        print(f"{each.file} {each.place}: mark it official, observed or ours", file=sys.stderr)
    return bool(unmarked)


if __name__ == "__main__":
    sys.exit(main())
