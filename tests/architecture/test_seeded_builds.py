"""The broken builds of the fault run still fit the source, so that each really is broken."""

import ast
from pathlib import Path

import pytest
from tests.faults.seeded.builds import BUILDS, Build, applied

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
def test_each_edit_fits_and_leaves_python(build: Build) -> None:
    changed: dict[str, str] = {}
    for edit in build.edits:
        changed[edit.path] = applied(changed.get(edit.path) or (ROOT / edit.path).read_text(encoding="utf-8"), edit)
    for path, text in changed.items():
        ast.parse(text, path)
        assert text != (ROOT / path).read_text(encoding="utf-8")
