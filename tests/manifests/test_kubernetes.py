"""`k8s/`: rendered by kustomize, strict against the schemas of one Kubernetes version, and by the rules of the town."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils
from tests.manifests.rendering import OVERLAYS, rendered
from tests.manifests.rules import RULES, containers, pod, workloads

from town_kit.settings import service_prefix
from town_onebox import network_policies
from town_onebox.registry import BY_NAME, ENTRIES

KUBERNETES = "1.34"
BAD = Path(__file__).parent / "bad"
ROLES = {"web", "worker", "migration"}
# What a service needs and its settings class does not say, because it depends on others.
ALSO_NEEDED = {
    "identity": {"digest_key", "key_encryption_key"},
    "procedures": {"digest_key", "key_encryption_key", "client_key", "addresses", "log_urls"},
    "standardization": {"digest_key", "key_encryption_key", "client_key", "addresses", "drop_folder"},
    "notifications": {"digest_key"},
    "connector": {"digest_key", "client_key", "addresses"},
    "gateway": {"addresses", "key_encryption_key"},
}


@pytest.fixture(autouse=True, scope="module")
def _read_each_schema_once() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        yield


def read(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((BAD / f"{name}.yaml").read_text(encoding="utf-8")))


def breaches(documents: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found = {name: rule(documents) for name, rule in RULES.items()}
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_document_fits_the_schema_of_its_kind(overlay: str) -> None:
    for document in rendered(overlay):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_seen() -> None:
    deployment, *_ = read("schema")
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_rule_holds(overlay: str) -> None:
    assert breaches(rendered(overlay)) == {}


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_of_each_rule_is_seen(rule: str) -> None:
    assert set(breaches(read(rule))) == {rule}


def test_nothing_is_named_twice() -> None:
    for overlay in OVERLAYS:
        names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in rendered(overlay)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_service_runs_in_its_roles_and_in_its_zone(overlay: str) -> None:
    found = {
        (d["metadata"]["labels"]["app.kubernetes.io/name"], d["metadata"]["labels"]["town/role"])
        for d in workloads(rendered(overlay))
        if "town/role" in d["metadata"].get("labels", {})
    }
    wanted = {(e.name, role) for e in ENTRIES for role in ROLES if e.serves or role != "web"}
    assert found == wanted
    for document in workloads(rendered(overlay)):
        name = document["metadata"].get("labels", {}).get("app.kubernetes.io/name")
        if name is not None:
            assert document["metadata"]["namespace"] == network_policies.namespace(BY_NAME[name].zone)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_pod_is_given_the_settings_its_service_has_and_needs(overlay: str) -> None:
    documents = [each for each in rendered(overlay) if each["kind"] == "ConfigMap"]
    maps = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in documents}
    for workload in workloads(rendered(overlay)):
        name = workload["metadata"].get("labels", {}).get("app.kubernetes.io/name")
        if name is None:
            continue
        fields, prefix = BY_NAME[name].settings.model_fields, service_prefix(name)
        for one in pod(workload)["containers"]:
            places = [(workload["metadata"]["namespace"], source["configMapRef"]["name"]) for source in one["envFrom"]]
            given = {e["name"] for e in one["env"]} | {key for place in places for key in maps[place]["data"]}
            unknown = {key for key in given if key.removeprefix(prefix).lower() not in fields}
            assert not unknown, "settings nobody reads"
            needed = {field for field, info in fields.items() if info.is_required()}
            needed |= ALSO_NEEDED[name] | {"audit_anchor"}
            assert {f"{prefix}{field.upper()}" for field in needed} <= given


def test_production_says_that_it_is() -> None:
    for document in rendered("prod"):
        if document["kind"] == "ConfigMap":
            said = {key: value for key, value in document["data"].items() if key.endswith(("_ENVIRONMENT", "PROFILE"))}
            assert set(said.values()) == {"production"}, document["metadata"]["name"]


def test_what_is_mounted_below_a_read_only_mount_does_not_exist() -> None:
    for overlay in OVERLAYS:
        for where, one in containers(rendered(overlay)):
            paths = [mount["mountPath"] for mount in one.get("volumeMounts", ())]
            assert not [(a, b) for a in paths for b in paths if b.startswith(f"{a}/")], where
