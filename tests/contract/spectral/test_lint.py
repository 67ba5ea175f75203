"""The published contracts, judged by spectral with the rules of ``ruleset.yaml``."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tests.tools import ROOT, tool

HERE = Path(__file__).parent
CONTRACTS = sorted((ROOT / "contracts" / "openapi").glob("*.yaml")) + sorted(
    (ROOT / "contracts/asyncapi").glob("*.yaml")
)
GOOD: dict[str, Any] = yaml.safe_load((HERE / "good.yaml").read_text(encoding="utf-8"))
POST = ("paths", "/v1/applications", "post")
ANSWERS = (*POST, "responses")
VIEW = ("components", "schemas", "ApplicationView")
Spoil = Callable[[dict[str, Any]], None]


def at(place: tuple[str, ...], value: Any) -> Spoil:
    """Put a value there; ``...`` takes away what is there."""

    def spoil(document: dict[str, Any]) -> None:
        *steps, last = place
        part = document
        for step in steps:
            part = part[step]
        if value is ...:
            del part[last]
        else:
            part[last] = value

    return spoil


def another_path(document: dict[str, Any]) -> None:
    document["paths"]["/v1/victimCertificates"] = document["paths"].pop("/v1/applications")


SPOILT: dict[str, Spoil] = {
    "summary-in-japanese": at((*POST, "summary"), "Submit an application"),
    "answers-in-japanese": at((*ANSWERS, "201", "description"), "Successful Response"),
    "schemas-in-japanese": at((*VIEW, "description"), "An application."),
    "operation-id-is-a-name": at((*POST, "operationId"), "submitApplicationV1ApplicationsPost"),
    "paths-are-plain": another_path,
    "refusals-are-problems": at((*ANSWERS, "422", "content"), {"application/json": {"schema": {"type": "object"}}}),
    "writes-are-asked-for-a-key": at((*POST, "parameters"), ...),
    "tokens-have-a-scope": at((*POST, "x-scope"), ...),
    "json-has-a-shape": at((*ANSWERS, "200"), {"description": "済", "content": {"application/json": {"schema": {}}}}),
    "operation-tag-defined": at((*POST, "tags"), ["証明"]),
    "invalid-ref": at((*VIEW, "properties", "id"), {"$ref": "#/components/schemas/Nobody"}),
}


def found(*files: Path) -> dict[str, list[str]]:
    """What spectral says of each file (by its name): the rules that complain."""
    spectral = tool("spectral/node_modules/.bin/spectral", needs="npm", target="contract-lint")
    command = [
        str(spectral),
        "lint",
        "--quiet",
        "--format=json",
        f"--ruleset={HERE / 'ruleset.yaml'}",
        *map(str, files),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said: dict[str, list[str]] = {file.name: [] for file in files}
    for line in json.loads(done.stdout or "[]"):
        said[Path(line["source"]).name].append(line["code"])
    assert done.returncode == (1 if any(said.values()) else 0), done.stderr
    return said


def test_no_rule_complains_about_what_is_published() -> None:
    assert len(CONTRACTS) >= 10
    for name, rules in found(*CONTRACTS).items():
        assert rules == [], name


def test_each_rule_complains_about_what_it_forbids_and_no_other_does(tmp_path: Path) -> None:
    files = [tmp_path / "good.yaml"]
    files[0].write_text(yaml.safe_dump(GOOD, allow_unicode=True))
    for rule, spoil in SPOILT.items():
        document = copy.deepcopy(GOOD)
        spoil(document)
        files.append(tmp_path / f"{rule}.yaml")
        files[-1].write_text(yaml.safe_dump(document, allow_unicode=True))

    said = found(*files)

    assert said.pop("good.yaml") == []
    assert said == {f"{rule}.yaml": [rule] for rule in SPOILT}


def test_every_rule_of_the_town_is_tried() -> None:
    rules = yaml.safe_load((HERE / "ruleset.yaml").read_text(encoding="utf-8"))["rules"]
    assert {name for name, rule in rules.items() if isinstance(rule, dict)} <= SPOILT.keys()
