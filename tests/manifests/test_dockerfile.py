"""`deploy/Dockerfile`, read without an engine."""

from pathlib import Path

import pytest
from tests.manifests.dockerfile import RULES, stages
from tests.manifests.rendering import ROOT

from town_onebox.registry import ENTRIES

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
BAD = Path(__file__).parent / "bad" / "dockerfile"


def breaches(text: str) -> dict[str, list[str]]:
    found = {name: rule(text) for name, rule in RULES.items()}
    return {name: lines for name, lines in found.items() if lines}


def test_each_rule_holds() -> None:
    assert breaches(DOCKERFILE) == {}


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_of_each_rule_is_seen(rule: str) -> None:
    assert set(breaches((BAD / f"{rule}.Dockerfile").read_text(encoding="utf-8"))) == {rule}


def test_each_service_can_be_built() -> None:
    named = {
        name
        for stage in stages(DOCKERFILE)
        for word, rest in stage
        if word == "RUN" and "case" in rest
        for line in rest.split(";;")
        for name in line.partition(" in ")[2].partition(")")[0].split("|") + line.strip().partition(")")[0].split("|")
    }
    assert {entry.name for entry in ENTRIES} <= {name.strip() for name in named}


def test_what_is_copied_exists() -> None:
    for stage in stages(DOCKERFILE):
        for word, rest in stage:
            if word == "COPY" and not rest.startswith("--from"):
                *sources, _ = rest.split()
                assert all((ROOT / source).exists() for source in sources), rest
