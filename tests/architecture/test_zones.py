"""`contracts/zones.yaml` says what the code does: who publishes a topic, who reads it, where a service runs."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import town_gateway
import town_identity
import town_notifications
import town_procedures
import town_standardization
from town_kit.messaging.event import Event, Reader
from town_kit.messaging.topics import zones
from town_onebox.registry import ENTRIES

PACKAGES = (town_gateway, town_identity, town_notifications, town_procedures, town_standardization)


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.fixture(scope="module", autouse=True)
def _every_module_is_imported() -> None:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def of_town(kind: type[Any]) -> list[type[Any]]:
    names = tuple(package.__name__ for package in PACKAGES)
    return [c for c in subclasses(kind) if c.__module__.startswith(names) and getattr(c, "TOPIC", "")]


def services_of(found: type[Any]) -> set[str]:
    """The services a class may belong to; the connector lives in the gateway's package."""
    package = found.__module__.split(".")[0].removeprefix("town_")
    return {"gateway", "connector"} if package == "gateway" else {package}


def test_each_service_runs_in_its_zone() -> None:
    assert {entry.name: entry.zone for entry in ENTRIES} == dict(zones().services)


def test_each_published_topic_is_in_the_contract_with_its_writer() -> None:
    events = of_town(Event)
    assert events
    for event in events:
        assert services_of(event) & set(zones().topics[event.TOPIC].writers), event


def test_each_reader_is_in_the_contract() -> None:
    readers = of_town(Reader)
    assert readers
    for reader in readers:
        assert services_of(reader) & set(zones().topics[reader.TOPIC].readers), reader


def test_nobody_is_named_a_reader_who_does_not_read() -> None:
    read = {(service, reader.TOPIC) for reader in of_town(Reader) for service in services_of(reader)}
    named = {(service, topic.name) for topic in zones().topics.values() for service in topic.readers}
    assert {each for each in named if not each[1].endswith(".audit-batches")} <= read
