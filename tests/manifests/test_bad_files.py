"""Each rule has one known-bad file, and each known-bad file its rule; a rule that is written is also asked."""

import inspect
from pathlib import Path
from types import ModuleType

import pytest
from tests.manifests import compose_rules, dockerfile, rules

BAD = Path(__file__).parent / "bad"
NO_RULES = {"workloads", "pod", "containers", "tells_a_secret", "stages"}  # what the rules are made of
PLACES = [
    (rules, BAD, ".yaml"),
    (compose_rules, BAD / "compose", ".yaml"),
    (dockerfile, BAD / "dockerfile", ".Dockerfile"),
]


@pytest.mark.parametrize(("module", "folder", "suffix"), PLACES, ids=["kubernetes", "compose", "dockerfile"])
def test_each_rule_has_its_bad_file_and_each_bad_file_its_rule(module: ModuleType, folder: Path, suffix: str) -> None:
    files = {path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")}
    assert files - {"schema"} == set(module.RULES)
    written = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert written - NO_RULES == set(module.RULES)
