"""Which log a topic stands in follows from who writes and reads it."""

import copy
from typing import Any

import pytest

from town_kit.messaging.topics import PARTITIONS, RETENTION, UnknownTopic, Zones, specs, zones
from town_kit.settings import Zone

CONTRACT: dict[str, Any] = {
    "services": {"outer": "INTERNET", "middle": "LGWAN", "inner": "MY_NUMBER"},
    "topics": {
        "inner.things": {"writers": ["inner"], "readers": ["middle"], "log": "LGWAN"},
        "middle.things": {"writers": ["middle"], "readers": ["inner", "outer"], "log": "INTERNET"},
        "inner.secrets": {"writers": ["inner"], "readers": [], "log": "MY_NUMBER"},
    },
}


def test_a_topic_stands_in_the_log_of_the_outermost_zone_that_uses_it() -> None:
    read = Zones.parse(CONTRACT)
    assert [read.log_of(name) for name in CONTRACT["topics"]] == [Zone.LGWAN, Zone.INTERNET, Zone.MY_NUMBER]
    assert read.written_by("inner") == ("inner.things", "inner.secrets")


def test_a_topic_in_the_wrong_log_is_refused() -> None:
    wrong = copy.deepcopy(CONTRACT)
    wrong["topics"]["middle.things"]["log"] = "LGWAN"
    with pytest.raises(ValueError, match=r"middle\.things belongs in the log of INTERNET"):
        Zones.parse(wrong)


def test_a_topic_outside_the_contract_has_no_log() -> None:
    with pytest.raises(UnknownTopic):
        Zones.parse(CONTRACT).log_of("outer.things")


def test_our_contract_holds() -> None:
    ours = zones()
    assert ours.services["standardization"] is Zone.MY_NUMBER
    assert ours.log_of("procedures.applications") is Zone.INTERNET
    for crossing in ours.crossings:
        assert set(crossing) == {"from", "to", "what", "control"}


def test_no_process_needs_an_address_of_an_inner_log() -> None:
    ours = zones()
    for topic in ours.topics.values():
        for service in (*topic.writers, *topic.readers):
            assert topic.log.depth <= ours.services[service].depth


def test_topics_are_kept_for_two_weeks_in_a_fixed_number_of_partitions() -> None:
    made = specs(["b", "a", "a"])
    assert [spec.name for spec in made] == ["a", "b"]
    assert {spec.partitions for spec in made} == {PARTITIONS}
    assert made[0].retention == RETENTION
    assert RETENTION.days >= 14
