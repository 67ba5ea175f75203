"""One word, one place: each term of the glossary is found where it says it lives."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TERMS: list[dict[str, Any]] = tomllib.loads((ROOT / "contracts/glossary.toml").read_text(encoding="utf-8"))["term"]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term["term"])
def test_a_term_lives_where_the_glossary_says(term: dict[str, Any]) -> None:
    place = ROOT / term["path"]
    assert place.exists()
    source = place / "__init__.py" if place.is_dir() else place
    text = source.read_text(encoding="utf-8") if source.exists() else ""
    assert term["term"] in text, f"{source} does not say {term['term']}"


def test_no_term_stands_twice() -> None:
    words = [term["term"] for term in TERMS]
    assert len(words) == len(set(words))


def test_every_slice_has_a_term() -> None:
    known = {term["path"] for term in TERMS}
    slices = [router.parent.relative_to(ROOT).as_posix() for router in ROOT.glob("services/*/src/town_*/*/router.py")]
    assert sorted(set(slices) - known) == []
