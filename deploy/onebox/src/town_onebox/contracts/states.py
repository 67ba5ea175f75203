"""Diagrams of states (状態遷移図), drawn from each slice's ``TRANSITIONS``: what no line shows is refused."""

import importlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

from town_onebox.registry import ENTRIES

NOTE = "<!-- Generated from the code by `make contracts`; do not edit. -->\n"


def diagrams() -> dict[str, str]:
    """``states/<slice>.md`` for each slice whose ``domain.py`` holds a table of transitions."""
    return {f"states/{_noun(domain)}.md": diagram(domain) for domain in domains()}


def domains() -> Iterator[ModuleType]:
    """Every ``domain.py`` with a table of transitions, over all services."""
    for package in sorted({entry.command.partition(".")[0] for entry in ENTRIES}):
        folder = Path(str(importlib.import_module(package).__file__)).parent
        for path in sorted(folder.rglob("domain.py")):
            name = ".".join((package, *path.relative_to(folder).with_suffix("").parts))
            module = importlib.import_module(name)
            if hasattr(module, "TRANSITIONS"):
                yield module


def diagram(domain: ModuleType) -> str:
    """One page: the diagram (Mermaid) and the same moves as a table, with the event each of them publishes."""
    table: Any = domain.TRANSITIONS
    labels: Mapping[StrEnum, str] = getattr(domain, "LABELS", {})
    states = [state for state in domain.State if any(state in move for move in table)]
    order = {state: place for place, state in enumerate([None, *domain.State])}
    moves = sorted(table, key=lambda move: (order[move[0]], order[move[1]]))
    leaving = {current for current, to in moves if current is not to}
    drawn = [f'    state "{labels.get(state, state.value)}" as {state.value}' for state in states]
    drawn += [f"    {_node(current)} --> {_node(to)}{_told(table, current, to)}" for current, to in moves]
    drawn += [f"    {_node(state)} --> [*]" for state in states if state not in leaving]
    rows = [
        f"| {_cell(labels, current)} | {_cell(labels, to)} | {_event(table, current, to) or '–'} |"
        for current, to in moves
    ]
    package = importlib.import_module(domain.__name__.rpartition(".")[0])
    title = (package.__doc__ or "").strip().split("\n", 1)[0]
    return "\n".join(
        (
            NOTE,
            f"# {title}",
            "",
            f"`{domain.__name__}`",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *drawn,
            "```",
            "",
            "| いま | 次 | イベント |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _noun(domain: ModuleType) -> str:
    return domain.__name__.split(".")[-2].replace("_", "-")


def _node(state: StrEnum | None) -> str:
    return "[*]" if state is None else state.value


def _event(table: Any, current: StrEnum | None, to: StrEnum) -> str:
    """``application.accepted`` of the move's event; empty where the table names none."""
    if not isinstance(table, Mapping):
        return ""
    kind: str = table[current, to].TYPE
    return kind.split(".", 2)[2].removesuffix(".v1")


def _told(table: Any, current: StrEnum | None, to: StrEnum) -> str:
    event = _event(table, current, to)
    return f": {event.partition('.')[2]}" if event else ""


def _cell(labels: Mapping[StrEnum, str], state: StrEnum | None) -> str:
    if state is None:
        return "（なし）"
    return f"{labels[state]} `{state.value}`" if state in labels else f"`{state.value}`"
