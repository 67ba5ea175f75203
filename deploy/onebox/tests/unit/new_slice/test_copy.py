"""A copied slice is Python, bears its own name everywhere, and never overwrites."""

import shutil
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
