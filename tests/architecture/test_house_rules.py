"""Rules a reviewer would repeat, read off the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("shared/src", "gateway/src", "services", "deploy")
    for path in (ROOT / folder).rglob("*.py")
    if "/tests/" not in path.as_posix() and "/migrations/" not in path.as_posix()
)
KIT = ROOT / "shared/src/town_kit"


def modules() -> list[tuple[Path, str, ast.Module]]:
    return [(path, text, ast.parse(text)) for path in SOURCES if (text := path.read_text(encoding="utf-8"))]


def test_a_file_stays_under_400_lines() -> None:
    assert [p.relative_to(ROOT).as_posix() for p, text, _ in modules() if text.count("\n") > 400] == []


def test_no_file_is_called_utils_or_manager() -> None:
    assert [
        p for p in SOURCES if re.search(r"(utils?|manager|helpers?|misc|common)$", p.stem) and "problems" not in p.parts
    ] == []


def test_only_the_kit_commits() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, _, tree in modules()
        if KIT not in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
        # a reader's commit of offsets is not a transaction's
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "reader")
    ]
    assert found == []


def test_numbers_and_booleans_of_input_models_are_strict() -> None:
    loose = []
    for path, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "Input" for b in node.bases):
                loose += [
                    f"{path.relative_to(ROOT)}:{item.lineno}"
                    for item in node.body
                    if isinstance(item, ast.AnnAssign)
                    for part in ast.walk(item.annotation)
                    if isinstance(part, ast.Name) and part.id in {"int", "bool", "float"}
                ]
    assert loose == []


def test_the_transaction_is_used_by_its_alias_only() -> None:
    allowed = KIT / "routing.py"
    assert [p for p, text, _ in modules() if p != allowed and re.search(r"Depends\(\s*transaction", text)] == []


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "raise NotImplementedError"])
def test_nothing_is_left_open(word: str) -> None:
    assert [p.relative_to(ROOT).as_posix() for p, text, _ in modules() if word in text] == []


def test_who_silences_a_tool_says_why() -> None:
    silenced = re.compile(r"# (?:noqa|type: ignore|nosec)[^#]*")
    unexplained = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, text, _ in modules()
        for number, line in enumerate(text.splitlines(), 1)
        if silenced.search(line) and not re.search(r"# noqa: [A-Z0-9, ]+ - \w|# type: ignore\[[a-z-]+\]  # \w", line)
    ]
    assert unexplained == []


def test_a_command_of_the_makefile_runs_even_where_a_folder_has_its_name() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", text, re.MULTILINE)
    commands = set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))
    assert "contracts" in commands
    assert commands - set(phony.replace("\\", " ").split()) == set()
