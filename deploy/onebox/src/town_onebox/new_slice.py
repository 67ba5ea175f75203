"""``make new-slice FROM=applications SERVICE=procedures NAME=corrections``: the golden slice under another name.

What is copied: the files that are a role (:data:`ROLES`), the verbs these import, and the tests that need no more. A
verb that only ``main.py`` starts (a job) stays behind. Classes, tables, routes, scopes, topics, consumers and tests get
the new noun. The Japanese words stay those of the slice it was copied from, because nobody but its author knows the
right ones; the places are printed.
"""

import ast
import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROLES = (
    "__init__",
    "router",
    "consumers",
    "schemas",
    "service",
    "repository",
    "models",
    "domain",
    "events",
    "errors",
)
LAW = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
NEXT = """Next:
 1. the word in contracts/glossary.toml: term, reading, english, law, path
 2. the Japanese texts in the files above, and what this noun does not need: delete it
 3. the migration: row_security(...) and grant(...) for each table
 4. router, consumers, jobs and events in {main}
 5. the scopes in services/identity/src/town_identity/clients/scopes.yaml, the topic in contracts/zones.yaml
 6. make format, make contracts, make check"""


class CannotCopy(ValueError):
    """The slice cannot be copied; the message says why."""


def copy(root: Path, source: str, service: str, name: str) -> list[Path]:
    """Copy the slice ``source`` as ``name`` (plural, snake case) into ``service``, its tests too; the new files.

    Raises:
        CannotCopy: there is no such slice or service, the name is no plural noun, or it is taken.
    """
    if not re.fullmatch(r"[a-z]+(_[a-z]+)*s", name):
        raise CannotCopy(f"{name}: a slice is a plural noun in snake case, such as certificate_requests")
    found = [path for path in root.glob(f"services/*/src/town_*/{source}") if (path / "__init__.py").exists()]
    if len(found) != 1:
        raise CannotCopy(f"there is no slice {source}" if not found else f"{source} stands in more than one service")
    target = root / "services" / service / "src" / f"town_{service}"
    if not (target / "main.py").exists():
        raise CannotCopy(f"there is no service {service}")
    if (target / name).exists():
        raise CannotCopy(f"{target / name} is there already")
    old_service = found[0].parts[-4]
    words = [
        *_wire_words(old_service, source, name),
        *_words(source, name),
        (rf"(?<![a-z])town_{old_service}", f"town_{service}"),
        (rf'(?<=["`.]){old_service}\.(?=[a-z-]+["`.])', f"{service}."),
    ]
    tests = [
        (path, root / "services" / service / "tests" / path.parts[-2] / name)
        for path in root.glob(f"services/{old_service}/tests/*/{source}")
    ]
    package, kept = f"town_{old_service}.{source}", _roles_and_their_verbs(found[0], f"town_{old_service}.{source}")
    made = []
    for folder, goal in ((found[0], target / name), *tests):
        for file in sorted(kept if folder == found[0] else _with_all_they_need(folder, package, kept)):
            made.append(goal / _renamed(str(file.relative_to(folder)), words))
            made[-1].parent.mkdir(parents=True, exist_ok=True)
            made[-1].write_text(_renamed(file.read_text(encoding="utf-8"), words), encoding="utf-8")
    return made


def _roles_and_their_verbs(folder: Path, package: str) -> list[Path]:
    """The role files of a slice, and what they import of it."""
    kept: list[Path] = []
    wanted = [folder / f"{role}.py" for role in ROLES]
    while wanted:
        file = wanted.pop()
        if file.exists() and file not in kept:
            kept.append(file)
            wanted += [folder / f"{name}.py" for name in _imports(file, package)]
    return kept


def _with_all_they_need(folder: Path, package: str, kept: Iterable[Path]) -> list[Path]:
    """The tests in ``folder`` that import nothing of the slice but what is kept."""
    there, left = {file.stem for file in kept}, {file.stem for file in next(iter(kept)).parent.glob("*.py")}
    return [file for file in folder.rglob("*.py") if not _imports(file, package) & (left - there)]


def _imports(file: Path, package: str) -> set[str]:
    """The names, modules among them, that a file imports from the package."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            found.add((node.module or "").removeprefix(f"{package}.").split(".")[0])
    return found


def _wire_words(service: str, source: str, name: str) -> list[tuple[str, str]]:
    """Patterns of the noun where it is written with hyphens: paths, scopes, topics, event types, audited actions."""
    many, one = source.replace("_", "-"), _singular(source).replace("_", "-")
    new_many, new_one = name.replace("_", "-"), _singular(name).replace("_", "-")
    return [
        (rf'(?<=Consumer\(name="){service}\.', f"{service}.{new_many}-"),
        (rf"(?<=/v1/){many}", new_many),
        (rf'(?<="){many}(?=:)', new_many),
        (rf"(?<={service}\.){many}(?=\")", new_many),
        (rf"(?<=town\.{service}\.){one}(?=\.)", new_one),
        (rf'(?<="){one}(?=\.)', new_one),
        (rf'(?<=slug=")(?!{new_one})', f"{new_one}-"),
    ]


def _words(source: str, name: str) -> list[tuple[str, str]]:
    """Patterns of the noun as Python writes it, plural before singular."""
    pairs = []
    for old, new in ((source, name), (_singular(source), _singular(name))):
        pairs += [(rf"(?<![a-z]){old}", new), (rf"(?<![a-z]){_pascal(old)}", _pascal(new))]
    return pairs


def _renamed(text: str, words: list[tuple[str, str]]) -> str:
    for old, new in words:
        text = re.sub(old, new, text)
    return text


def _singular(plural: str) -> str:
    return re.sub(r"ies$", "y", plural) if plural.endswith("ies") else plural.removesuffix("s")


def _pascal(snake: str) -> str:
    return "".join(part.capitalize() for part in snake.split("_"))


def main(arguments: list[str]) -> int:
    """Copy, and say what is left to do."""
    if len(arguments) != 3 or not all(arguments):
        print("make new-slice FROM=applications SERVICE=procedures NAME=corrections", file=sys.stderr)
        return 2
    try:
        made = copy(Path(), *arguments)
    except CannotCopy as reason:
        print(reason, file=sys.stderr)
        return 1
    for path in made:
        count = sum(1 for line in path.read_text(encoding="utf-8").splitlines() if LAW.search(line))
        print(f"{path}  ({count} lines with Japanese words)")
    print(NEXT.format(main=f"services/{arguments[1]}/src/town_{arguments[1]}/main.py"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
