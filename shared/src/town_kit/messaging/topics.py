"""Which topics there are and in whose log each stands; read from ``contracts/zones.yaml``.

A topic stands in the log of the outermost zone in which somebody writes or reads it, so that a process opens
connections outward only. The number of partitions is fixed for ever: changing it would move keys.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from town_kit.messaging.event import Event
from town_kit.settings import Zone

PARTITIONS = 4
RETENTION = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as a log is told to make it."""

    name: str
    partitions: int = PARTITIONS
    retention: timedelta = RETENTION


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the contract: who writes it, who reads it, and in which zone's log it stands."""

    name: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    log: Zone


class UnknownTopic(LookupError):
    """A topic that does not stand in ``contracts/zones.yaml``."""


@dataclass(frozen=True)
class Zones:
    """The zones of services and topics.

    Raises:
        ValueError: (from :meth:`parse`) a topic stands in another log than its writers and readers say.
    """

    services: Mapping[str, Zone]
    topics: Mapping[str, Topic]
    crossings: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Zones":
        """Read the contract and check each topic's log."""
        services = {name: Zone(zone) for name, zone in document["services"].items()}
        topics = {}
        for name, entry in document["topics"].items():
            topic = Topic(name, tuple(entry["writers"]), tuple(entry["readers"]), Zone(entry["log"]))
            outermost = min((services[s] for s in (*topic.writers, *topic.readers)), key=lambda zone: zone.depth)
            if outermost is not topic.log:
                raise ValueError(f"{name} belongs in the log of {outermost}, not of {topic.log}")
            topics[name] = topic
        return cls(services, topics, tuple(document.get("crossings", ())))

    def log_of(self, topic: str) -> Zone:
        """The zone in whose log a topic stands.

        Raises:
            UnknownTopic: it is not in the contract.
        """
        found = self.topics.get(topic)
        if found is None:
            raise UnknownTopic(topic)
        return found.log

    def written_by(self, service: str) -> tuple[str, ...]:
        """The topics a service writes."""
        return tuple(name for name, topic in self.topics.items() if service in topic.writers)


def contracts_folder() -> Path:
    """The folder ``contracts``: ``TOWN_CONTRACTS`` where it is set (as in an image), else the working tree's."""
    configured = os.environ.get("TOWN_CONTRACTS")
    return Path(configured) if configured else Path(__file__).resolve().parents[4] / "contracts"


@cache
def zones() -> Zones:
    """The contract ``zones.yaml``, read once."""
    return Zones.parse(yaml.safe_load((contracts_folder() / "zones.yaml").read_text(encoding="utf-8")))


def specs(topics: Iterable[str]) -> list[TopicSpec]:
    """What a log must have before these topics are used."""
    return [TopicSpec(name) for name in sorted(set(topics))]


def topics_of(events: Iterable[type[Event]]) -> tuple[str, ...]:
    """The topics of event classes, each once."""
    return tuple(sorted({event.TOPIC for event in events}))
