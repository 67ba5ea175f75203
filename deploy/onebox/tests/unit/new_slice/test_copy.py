"""A copied slice is Python, bears its own name everywhere, and never overwrites."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from town_onebox.new_slice import CannotCopy, copy

ROOT = Path(__file__).parents[5]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The services of the working tree, without the rest."""
    kept = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for service in ("procedures", "identity"):
        shutil.copytree(ROOT / "services" / service, tmp_path / "services" / service, ignore=kept)
    return tmp_path


def test_the_golden_slice_is_copied_under_another_name(tree: Path) -> None:
    made = copy(tree, "applications", "identity", "consent_requests")
    assert (tree / "services/identity/src/town_identity/consent_requests/router.py") in made
    for path in made:
        text = path.read_text(encoding="utf-8")
        compile(text, str(path), "exec")
        assert "town_procedures.applications" not in text
    router = (tree / "services/identity/src/town_identity/consent_requests/router.py").read_text(encoding="utf-8")
    assert '"/v1/consent-requests"' in router
    assert "consent-requests:read" in router
    assert "ConsentRequestView" in router


def test_only_roles_and_their_verbs_are_copied(tree: Path) -> None:
    made = {path.name for path in copy(tree, "applications", "procedures", "corrections") if "/src/" in path.as_posix()}
    assert {"router.py", "service.py", "models.py", "submit.py"} <= made
    assert not {"numbering.py", "accepting.py", "settling.py"} & made, "jobs, which main.py starts"


IMPORT_ALL = """
import importlib, pathlib, town_procedures
from datetime import timedelta
from town_kit.clock import SystemClock
from town_kit.jp import BusinessDays
from town_procedures import main
import town_procedures.corrections as copied
assert pathlib.Path(copied.__file__).is_relative_to(pathlib.Path.cwd()), copied.__file__
for path in pathlib.Path(copied.__file__).parent.glob("*.py"):
    importlib.import_module(f"town_procedures.corrections.{path.stem}")
from town_procedures.applications import consumers as golden, models as golden_models
from town_procedures.corrections import consumers, models
def tables(module):
    own = [v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__]
    return {v.__tablename__ for v in own if hasattr(v, "__tablename__")}
assert tables(models) and not tables(models) & tables(golden_models)
def names(found):
    return {one.name for one in found}
ours = names(consumers.correction_consumers(SystemClock(), BusinessDays()))
assert ours and not ours & names(golden.application_consumers(SystemClock(), BusinessDays())), ours
"""


def test_the_copy_imports_with_tables_and_consumers_of_its_own_and_keeps_the_house_rules(tree: Path) -> None:
    copy(tree, "applications", "procedures", "corrections")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        env={**os.environ, "PYTHONPATH": str(tree / "services/procedures/src")},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for folder in ("shared/src", "gateway/src", "deploy/onebox/src"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/architecture", tree / "tests/architecture")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    rules = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider"]
    # what main.py does not take up yet is not used yet
    rules += ["tests/architecture/test_house_rules.py", "-k", "not what_is_defined"]
    ruff = [sys.executable, "-m", "ruff"]
    tidied = ([*ruff, "format", "--no-cache", "services"], [*ruff, "check", "--no-cache", "--fix", "services"])
    for command in (*tidied, rules):  # ``make format`` first
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_a_slice_that_is_there_is_left_alone(tree: Path) -> None:
    with pytest.raises(CannotCopy, match="already"):
        copy(tree, "applications", "procedures", "attachments")


@pytest.mark.parametrize("name", ["Correction", "correction", "my-nouns", ""])
def test_a_name_that_is_no_plural_noun_is_refused(tree: Path, name: str) -> None:
    with pytest.raises(CannotCopy, match="plural noun"):
        copy(tree, "applications", "procedures", name)


def test_an_unknown_slice_or_service_is_named(tree: Path) -> None:
    with pytest.raises(CannotCopy, match="no slice nothings"):
        copy(tree, "nothings", "procedures", "corrections")
    with pytest.raises(CannotCopy, match="no service moon"):
        copy(tree, "applications", "moon", "corrections")
