"""The published contracts: well formed, in Japanese, without a person's data, and read by everyone who listens."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate

from town_kit.audit.chain import batch_event
from town_kit.messaging.event import Reader
from town_kit.messaging.topics import zones
from town_onebox.contracts.breaking import since_last_release
from town_onebox.contracts.compose import services
from town_onebox.contracts.generate import contracts_of, file_name, stale
from town_onebox.contracts.states import diagram, domains

CONTRACTS = Path(__file__).parents[2] / "contracts"
with services() as composed:
    FILES = contracts_of(composed)
    PUBLISHED = {e.TYPE: e for one in composed.values() for e in (*one.events, batch_event(one.name))}
    READERS = [(one.name, each.name, r) for one in composed.values() for each in one.consumers for r in each.handlers]
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
PERSONAL = re.compile(r"(^|_)(name|kana|address|phone|tel|email|mail|birth(day|_date)?|sex|gender|my_number)(_|$)")
NOT_A_PERSONS = {"/list_name"}
APIS = {name: yaml.safe_load(text) for name, text in FILES.items() if name.startswith("openapi/")}
LISTENING = {name: yaml.safe_load(text) for name, text in FILES.items() if name.startswith("asyncapi/")}
EVENTS = sorted(name.removesuffix(".schema.json") for name in FILES if name.endswith(".schema.json"))
METHODS = ("get", "put", "post", "delete", "patch")


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield f"{method.upper()} {path}", methods[method]


def test_the_committed_contracts_are_what_the_code_says() -> None:
    assert stale(CONTRACTS, FILES) == []


def test_nothing_breaks_since_the_last_release() -> None:
    assert since_last_release(CONTRACTS, FILES) == []


@pytest.mark.parametrize("name", sorted(APIS))
def test_an_openapi_document_is_valid_and_speaks_japanese(name: str) -> None:
    validate(APIS[name])
    assert APIS[name]["openapi"].startswith("3.1")
    names = []
    for where, operation in operations(APIS[name]):
        names.append(operation["operationId"])
        assert JAPANESE.search(operation["summary"]), where
        assert operation["tags"], where
        assert any(status.startswith(("2", "3")) for status in operation["responses"]), where
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(APIS))
def test_every_refusal_is_a_problem_document(name: str) -> None:
    for where, operation in operations(APIS[name]):
        if "x-official" in operation:
            continue
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                assert list(answer["content"]) == ["application/problem+json"], (where, status)


@pytest.mark.parametrize("name", EVENTS)
def test_an_example_is_what_its_schema_says(name: str) -> None:
    schema, example = json.loads(FILES[f"{name}.schema.json"]), json.loads(FILES[f"{name}.example.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    validator.validate(example)
    assert set(schema["properties"]) == set(example), "an example shows every member"


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_holds_nothing_about_a_person_but_ids(name: str) -> None:
    schema = json.loads(FILES[f"{name}.schema.json"])
    members = {
        f"{where}/{member}"
        for where, part in [("", schema), *schema.get("$defs", {}).items()]
        for member in part.get("properties", {})
    }
    assert [m for m in members - NOT_A_PERSONS if PERSONAL.search(m.rpartition("/")[2])] == []


def test_every_event_type_is_named_after_its_service_and_topic() -> None:
    for kind, event in PUBLISHED.items():
        service, aggregate, fact, version = re.fullmatch(
            r"town\.([a-z]+)\.([a-z][a-z-]+)\.([a-z_]+)\.(v\d+)", kind
        ).groups()
        assert event.TOPIC.startswith(f"{service}.{aggregate.removesuffix('y').removesuffix('ch')}"), (kind, fact)
        assert version == "v1"


@pytest.mark.parametrize("name", sorted(LISTENING))
def test_every_topic_of_a_service_stands_in_the_zones(name: str) -> None:
    service = Path(name).stem
    document = LISTENING[name]
    assert set(document["channels"]) <= set(zones().written_by(service))
    for message in document["components"]["messages"].values():
        assert message["payload"]["$ref"].removeprefix("../") in FILES


@pytest.mark.parametrize(("service", "consumer", "reader"), READERS, ids=lambda value: getattr(value, "TYPE", value))
def test_a_reader_reads_what_its_producer_sends(service: str, consumer: str, reader: type[Reader]) -> None:
    event = PUBLISHED.get(reader.TYPE)
    assert event is not None, f"{consumer} waits for {reader.TYPE}, which nobody sends"
    assert reader.TOPIC == event.TOPIC
    assert service in zones().topics[reader.TOPIC].readers
    example = json.loads(FILES[f"events/{event.TOPIC.partition('.')[0]}/{file_name(event)}.example.json"])
    reader.model_validate(example | {"a_member_of_tomorrow": 1})


@pytest.mark.parametrize("domain", list(domains()), ids=lambda domain: domain.__name__)
def test_a_diagram_shows_each_state_and_each_move_of_its_table(domain: Any) -> None:
    drawn = diagram(domain)
    arrows = set(re.findall(r"^    (\S+) --> (\w+)", drawn, re.MULTILINE))
    assert arrows == {(current.value if current else "[*]", to.value) for current, to in domain.TRANSITIONS}
    assert set(re.findall(r'^    state "[^"]+" as (\w+)$', drawn, re.MULTILINE)) == {s.value for s in domain.State}
    assert FILES[f"states/{domain.__name__.split('.')[-2].replace('_', '-')}.md"] == drawn


def test_every_problem_has_a_japanese_title_and_a_meaning() -> None:
    for slug, problem in yaml.safe_load(FILES["problems.yaml"]).items():
        assert problem["type"] == f"urn:town:problem:{slug}"
        assert 400 <= problem["status"] < 600
        assert JAPANESE.search(problem["title"])
        assert problem["meaning"]
