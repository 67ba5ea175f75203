"""Which changes of a contract break those who built against it."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from town_onebox.contracts.breaking import breaks, since_last_release

API: dict[str, Any] = {
    "paths": {
        "/v1/applications": {
            "post": {
                "x-scope": "applications:submit",
                "x-roles": ["resident", "staff"],
                "parameters": [{"in": "header", "name": "Idempotency-Key", "required": True}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Out"}}}},
                    "422": {"content": {}},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "In": {
                "type": "object",
                "required": ["code"],
                "properties": {"code": {"type": "string", "enum": ["a", "b"]}, "note": {"type": "string"}},
            },
            "Out": {
                "type": "object",
                "required": ["id", "items"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "due": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
                },
            },
        }
    },
}
OPERATION = ("paths", "/v1/applications", "post")
IN, OUT = ("components", "schemas", "In"), ("components", "schemas", "Out")


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(API)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def found(new: dict[str, Any]) -> list[str]:
    name = "openapi/procedures.yaml"
    return list(breaks({name: yaml.safe_dump(API)}, {name: yaml.safe_dump(new)}))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (OPERATION, ..., "removed"),
        ((*OPERATION, "x-scope"), "applications:write", "scope"),
        ((*OPERATION, "x-roles"), ["staff"], "refuses resident"),
        ((*OPERATION, "parameters"), [{"in": "query", "name": "q", "required": True}], "demands query parameter q"),
        ((*OPERATION, "parameters"), [], "no longer knows header parameter"),
        ((*OPERATION, "responses", "201"), ..., "no longer answers 201"),
        ((*OPERATION, "requestBody", "content"), {"text/plain": {}}, "no longer takes application/json"),
        ((*IN, "required"), ["code", "note"], "demands /note"),
        ((*IN, "properties", "note"), ..., "no longer takes /note"),
        ((*IN, "properties", "code", "enum"), ["a"], "no longer takes b in /code"),
        ((*IN, "properties", "note", "type"), "integer", "changes type of /note"),
        ((*OUT, "properties", "id"), ..., "no longer gives /id"),
        ((*OUT, "required"), ["items"], "may leave out /id"),
        ((*OUT, "properties", "id", "format"), "date", "changes format of /id"),
        ((*OUT, "properties", "due", "anyOf"), [{"type": "null"}], "kinds of /due"),
        ((*OUT, "properties", "items", "items", "properties", "n"), ..., "no longer gives /items/*/n"),
    ],
)
def test_taking_away_and_demanding_more_breaks(path: tuple[Any, ...], value: Any, told: str) -> None:
    assert any(told in what for what in found(changed(path, value)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("paths", "/v1/more"), {"get": {}}),
        ((*OPERATION, "responses", "422"), ...),
        ((*OPERATION, "x-roles"), ["resident", "staff", "vendor"]),
        ((*IN, "properties", "more"), {"type": "string"}),
        ((*IN, "properties", "code", "enum"), ["a", "b", "c"]),
        ((*IN, "required"), []),
        ((*OUT, "properties", "more"), {"type": "string"}),
        ((*OUT, "required"), ["id", "items", "due"]),
    ],
)
def test_adding_breaks_nothing(path: tuple[Any, ...], value: Any) -> None:
    assert found(changed(path, value)) == []


def test_an_event_keeps_its_members() -> None:
    name = "events/procedures/application.accepted.v1.schema.json"
    old = {"properties": {"state": {"type": "string"}}, "required": ["state"]}
    assert list(breaks({name: json.dumps(old)}, {})) == [f"{name}: removed"]
    assert list(breaks({name: json.dumps(old)}, {name: "{}"})) == [f"{name}: no longer gives /state"]
    assert list(breaks({"scopes.yaml": "a: 1"}, {})) == []


def test_the_last_release_is_what_counts(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.jp", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    folder = tmp_path / "contracts"
    (folder / "openapi").mkdir(parents=True)
    (folder / "openapi" / "a.yaml").write_text(yaml.safe_dump(API))
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    assert since_last_release(folder, {}) == []
    git("tag", "v1.0.0")
    assert since_last_release(folder, {}) == ["openapi/a.yaml: removed"]
    assert since_last_release(folder, {"openapi/a.yaml": yaml.safe_dump(API)}) == []
