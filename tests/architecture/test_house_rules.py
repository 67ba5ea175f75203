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
SLICED = {"town_gateway", "town_identity", "town_notifications", "town_procedures", "town_standardization"}


def modules() -> list[tuple[Path, str, ast.Module]]:
    return [(path, text, ast.parse(text)) for path in SOURCES if (text := path.read_text(encoding="utf-8"))]


def test_a_file_stays_under_400_lines() -> None:
    found = [
        path
        for folder in ("shared", "gateway", "services", "deploy", "tests")
        for kind in ("py", "js", "css", "html")
        for path in (ROOT / folder).rglob(f"*.{kind}")
    ]
    assert {path.suffix for path in found} >= {".py", ".js"}
    long = [path for path in found if path.read_text(encoding="utf-8").count("\n") > 400]
    assert [path.relative_to(ROOT).as_posix() for path in long] == []


def test_slices_meet_through_their_init_only() -> None:
    found = []
    for path, _, tree in modules():
        package, *inner = path.relative_to(path.parents[len(path.parts) - path.parts.index("src") - 2]).parts
        if package not in SLICED or len(inner) < 2:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                root, *rest = name.split(".")
                if root != package or len(rest) < 2 or rest[0] == inner[0]:
                    continue
                base = path.parents[len(inner) - 1] / rest[0]
                if len(rest) > 2 or (base / f"{rest[1]}.py").exists():
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    assert found == []


def test_no_file_is_called_utils_or_manager() -> None:
    assert [p for p in SOURCES if re.search(r"(utils?|manager|helpers?|misc|common)$", p.stem)] == []


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


# What no code of ours calls, and why it stays.
KEPT = {
    "FixedClock": "time stands still in tests",
    "Address": "住所 is one of the kit's value objects",
    "CorporateNumber": "法人番号 is one of the kit's value objects",
    "PAYLOAD_LIMIT": "the standard's bound, to which a test holds what is sent",
    "ENDED": "the states in which a message ends, to which a test holds the transitions",
    "REQUEST_ID": "the official form, to which a test holds what is made",
    "is_reference": "what a test judges our references by",
    "code_of": "a one-time code as an authenticator shows it, for tests and drills",
    "public_operations": "what the gateway publishes, for the contract's tests",
    "read_csv": "a reader of files from outside, before the slice that takes them",
    "parse_xml": "a reader of files from outside, before the slice that takes them",
}
FOR_TESTS = re.compile(r"/town_sandbox/|/testing(/|\.py)|/journey/")


def test_what_is_defined_is_used() -> None:
    """A name at the top of a file is named by code of ours; in what tests are made of, by a test."""
    used, tested, defined = set[str](), set[str](), list[tuple[Path, str]]()
    for folder in ("shared", "gateway", "services", "deploy", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            tree, source = ast.parse(path.read_text(encoding="utf-8")), path in SOURCES
            names = used if source or "/migrations/" in path.as_posix() else tested
            names |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
            names |= {
                alias.name
                for n in ast.walk(tree)
                if isinstance(n, ast.ImportFrom)
                for alias in n.names
                if alias.asname or path.name != "__init__.py"
            }
            # an annotation in quotes; a name that is looked up, such as an entry point
            names |= {
                word
                for n in ast.walk(tree)
                if isinstance(n, ast.Constant) and isinstance(n.value, str) and path.name != "__init__.py"
                for word in re.findall(r"\w+", n.value if len(n.value) < 80 else "")
            }
            if source:
                defined += [(path, name) for name in _defined(tree)]
    dead = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in defined
        if name not in used and name not in KEPT and not (FOR_TESTS.search(path.as_posix()) and name in tested)
    ]
    assert dead == []


def _defined(tree: ast.Module) -> list[str]:
    """The functions (but what a decorator hands on), classes and values at the top of a module."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) or (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list
        ):
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in found if not name.startswith("__")]


def test_a_command_of_the_makefile_runs_even_where_a_folder_has_its_name() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", text, re.MULTILINE)
    commands = set(re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE))
    assert "contracts" in commands
    assert commands - set(phony.replace("\\", " ").split()) == set()
