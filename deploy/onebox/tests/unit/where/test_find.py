"""A word is found by its Japanese, its reading or its English."""

from pathlib import Path

import pytest

from town_onebox.where import find

ROOT = Path(__file__).parents[5]


@pytest.mark.parametrize("word", ["申請", "しんせい", "Application"])
def test_the_golden_slice_is_found_by_any_of_its_names(word: str) -> None:
    assert "services/procedures/src/town_procedures/applications" in {term["path"] for term in find(ROOT, word)}


def test_an_unknown_word_finds_nothing() -> None:
    assert find(ROOT, "存在しない言葉") == []
