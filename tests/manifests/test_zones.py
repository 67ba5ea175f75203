"""The network policies say what `contracts/zones.yaml` says: read as a cluster reads them, not as they are written."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml
from tests.manifests.rendering import OVERLAYS, ROOT, rendered
from tests.manifests.rules import workloads

from town_kit.messaging.topics import zones
from town_kit.settings import Zone
from town_onebox.network_policies import main, namespace
from town_onebox.registry import BY_NAME, ENTRIES

WEB, DATABASE, LOG = 8080, 5432, 9092
CONTRACT = yaml.safe_load((ROOT / "contracts" / "zones.yaml").read_text(encoding="utf-8"))
Pod = tuple[str, Mapping[str, str]]  # namespace and labels


def test_the_policies_are_written_from_the_contract() -> None:
    assert main(["--check", str(ROOT / "k8s" / "components" / "network-policies")]) == 0


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    assert selector is None or set(selector) <= {"matchLabels"}
    return selector is None or selector.get("matchLabels", {}).items() <= labels.items()


def matches(peer: Mapping[str, Any], policy_namespace: str, pod: Pod) -> bool:
    """Whether a peer of a policy means this pod; an address block means no pod of ours."""
    if "ipBlock" in peer:
        return False
    where, labels = pod
    names = {"kubernetes.io/metadata.name": where}
    named = peer.get("namespaceSelector")
    in_namespace = where == policy_namespace if named is None else selects(named, names)

    return in_namespace and selects(peer.get("podSelector"), labels)


def lets(policies: Sequence[Mapping[str, Any]], way: str, mine: Pod, other: Pod, port: int) -> bool:
    """Whether the policies that select ``mine`` let it talk ``way`` with ``other``; unselected, all is open."""
    named = {"Ingress": "from", "Egress": "to"}[way]
    applied = [
        each
        for each in policies
        if each["metadata"]["namespace"] == mine[0]
        and way in each["spec"]["policyTypes"]
        and selects(each["spec"]["podSelector"], mine[1])
    ]
    return not applied or any(
        port in [p["port"] for p in rule["ports"] if p["protocol"] == "TCP"]
        and any(matches(peer, each["metadata"]["namespace"], other) for peer in rule[named])
        for each in applied
        for rule in each["spec"].get(way.lower()) or ()
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_may_be_reached_is_what_the_contract_lists(overlay: str) -> None:
    documents = rendered(overlay)
    policies = [each for each in documents if each["kind"] == "NetworkPolicy"]
    pods: dict[str, Pod] = {
        f"{d['metadata']['labels']['app.kubernetes.io/name']}/{d['metadata']['labels']['town/role']}": (
            d["metadata"]["namespace"],
            d["spec"]["template"]["metadata"]["labels"],
        )
        for d in workloads(documents)
        if "town/role" in d["metadata"].get("labels", {})
    }
    for zone in Zone:
        for component in ("database", "event-log"):
            pods[f"{component} of {zone}"] = (namespace(zone), {"app.kubernetes.io/component": component})
    open_ways = {
        (caller, called, port)
        for (caller, source), (called, target) in itertools.permutations(pods.items(), 2)
        for port in (WEB, DATABASE, LOG, 8081, 443)
        if lets(policies, "Egress", source, target, port) and lets(policies, "Ingress", target, source, port)
    }
    assert open_ways == expected(pods)


def expected(pods: Mapping[str, Pod]) -> set[tuple[str, str, int]]:
    """Every way the contract lists, its own zone's database and log, and nothing else."""
    ways = set()
    for caller in (name for name in pods if "/" in name):
        service = caller.split("/")[0]
        zone = BY_NAME[service].zone
        ways.add((caller, f"database of {zone}", DATABASE))
        ways |= {(caller, f"event-log of {each}", LOG) for each in Zone if each.depth <= zone.depth}
        for call in (*CONTRACT["crossings"], *CONTRACT["within"]):
            if call["from"] == service and not call["to"].startswith("log of "):
                ways.add((caller, f"{call['to']}/web", WEB))
    return ways


def test_each_log_a_service_writes_or_reads_is_in_its_reach_and_each_crossing_to_one_is_listed() -> None:
    listed = {(call["from"], call["to"]) for call in CONTRACT["crossings"]}
    for topic in zones().topics.values():
        for service in {*topic.writers, *topic.readers}:
            assert topic.log.depth <= BY_NAME[service].zone.depth
            assert topic.log is BY_NAME[service].zone or (service, f"log of {topic.log}") in listed


def test_calls_within_a_zone_and_across_are_told_apart() -> None:
    zone = {entry.name: entry.zone for entry in ENTRIES}
    assert all(zone[call["from"]] is zone[call["to"]] for call in CONTRACT["within"])
    across = [call for call in CONTRACT["crossings"] if not call["to"].startswith("log of ")]
    assert all(zone[call["from"]] is not zone[call["to"]] for call in across)


def test_every_service_a_process_has_an_address_of_is_one_it_may_call() -> None:
    calls = {(call["from"], call["to"]) for call in (*CONTRACT["crossings"], *CONTRACT["within"])}
    found = set()
    for document in rendered("prod"):
        for key, value in document.get("data", {}).items() if document["kind"] == "ConfigMap" else ():
            service = key.split("_")[1].lower()
            if key.endswith(("_ADDRESSES", "_JWKS")) and service != "identity":
                addresses = yaml.safe_load(value).values() if key.endswith("_ADDRESSES") else [value]
                found |= {(service, each.removeprefix("http://").split(":")[0].split(".")[0]) for each in addresses}
    assert found == {call for call in calls if not call[1].startswith("log of ")}


def test_the_public_internet_reaches_the_gateway_alone() -> None:
    for overlay in OVERLAYS:
        let_in = [
            each["metadata"]["name"]
            for each in rendered(overlay)
            if each["kind"] == "NetworkPolicy"
            for rule in each["spec"].get("ingress") or ()
            for peer in rule["from"]
            if peer.get("namespaceSelector", {}).get("matchLabels", {}).get("town/door") == "public"
        ]
        assert let_in == ["gateway-is-called"]
