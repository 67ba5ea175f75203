"""Every line of the runbooks' table is tried by a test that names it (``@pytest.mark.runbook("…")``)."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "deploy/runbooks/README.md"
FOLDERS = ("shared/tests", "gateway/tests", "services", "deploy", "tests")


def lines() -> list[str]:
    """The first words of each line, up to a bracket."""
    text = TABLE.read_text(encoding="utf-8")
    table = re.search(r"^\| 何が止まったか .*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None, "the runbooks open with their table"
    return [row.split("|")[1].split("(")[0].strip() for row in table[1].splitlines()]


def named() -> dict[str, list[str]]:
    """Line → the tests that name it."""
    found: dict[str, list[str]] = {}
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.runbook":
                    assert isinstance(mark.args[0], ast.Constant)
                    found.setdefault(str(mark.args[0].value), []).append(node.name)
    return found


def test_the_table_names_each_thing_once() -> None:
    assert len(lines()) == len(set(lines())) > 10


def test_every_line_of_the_table_is_tried_by_a_test() -> None:
    assert [line for line in lines() if line not in named()] == []


def test_no_test_names_a_line_that_is_not_there() -> None:
    assert sorted(set(named()) - set(lines())) == []
