"""A folder that is not whole does not load, and says why."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from town_procedures.catalogue import CatalogueError, load_catalogue, load_folder
from town_procedures.catalogue.form import Form, flaws

CATALOGUE = Path(__file__).parents[3] / "src/town_procedures/catalogue"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CATALOGUE / "care_need_certification", tmp_path / "care_need_certification"))


def change(path: Path, how: Callable[[Any], None]) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    how(content)
    path.write_text(json.dumps(content, default=str), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "how", "said"),
    [
        ("procedure.yaml", lambda c: c.update(colour="red"), "colour"),
        ("procedure.yaml", lambda c: c.update(decided_by="mayor"), "decided_by"),
        ("procedure.yaml", lambda c: c.update(auto_accept=True), "auto_accept needs decided_by: core"),
        (
            "procedure.yaml",
            lambda c: c.update(decided_by="core", two_person_decision=True),
            "two_person_decision needs decided_by: staff",
        ),
        ("procedure.yaml", lambda c: c["standard_days"]["calendar_days_at_most"].pop("source"), "source"),
        ("procedure.yaml", lambda c: c["checks"].append({"name": "weather_is_fine"}), "unknown check weather_is_fine"),
        ("procedure.yaml", lambda c: c["checks"].append({"name": "date_not_future"}), "pointers"),
        ("procedure.yaml", lambda c: c["party_roles"].append({"role": "proxy", "pointer": "/nobody"}), "/nobody"),
        ("procedure.yaml", lambda c: c["attachments"].append(c["attachments"][0]), "stands twice"),
        ("form.schema.json", lambda c: c["properties"]["remarks"].pop("title"), "/remarks: title is missing"),
        ("form.schema.json", lambda c: c.pop("additionalProperties"), "additionalProperties must be false"),
        ("form.schema.json", lambda c: c.update(type="objekt"), "objekt"),
        ("mapping.yaml", lambda c: c["fields"].update(biko="/nowhere"), "/nowhere"),
        ("messages.yaml", lambda c: c["templates"].pop("rejected"), "no message for rejected"),
        ("messages.yaml", lambda c: c["templates"]["rejected"]["en"].update(title="{name}"), "{name} is not allowed"),
    ],
)
def test_a_folder_with_a_flaw_does_not_load(folder: Path, file: str, how: Callable[[Any], None], said: str) -> None:
    change(folder / file, how)
    with pytest.raises(CatalogueError, match="care_need_certification") as refused:
        load_folder(folder)
    assert said in str(refused.value)


def test_two_folders_do_not_share_a_code(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "copy")
    with pytest.raises(CatalogueError, match="LC-01"):
        load_catalogue(folder.parent)


def test_a_choice_without_a_label_is_a_flaw() -> None:
    item = {"type": "string", "title": "色", "x-order": 1, "enum": ["1", "2"], "x-enum-labels": {"1": "赤"}}
    form = Form({"type": "object", "additionalProperties": False, "properties": {"colour": item}})
    assert list(flaws(form.schema)) == ["/colour: no label for a choice"]


def test_a_label_beside_a_reference_wins() -> None:
    schema = {
        "type": "object",
        "$defs": {"day": {"type": "string", "format": "date", "title": "日"}},
        "properties": {"birth": {"$ref": "#/$defs/day", "title": "生年月日", "x-order": 1}},
    }
    assert Form(schema).schema["properties"]["birth"] == {
        "type": "string",
        "format": "date",
        "title": "生年月日",
        "x-order": 1,
    }
