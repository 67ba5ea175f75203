"""Rules for a resolved compose file: a line for each breach. ``bad/compose/<rule>.yaml`` breaks just that rule."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.manifests.rules import tells_a_secret

Services = Mapping[str, Mapping[str, Any]]


def _ours(services: Services) -> Services:
    return {name: each for name, each in services.items() if each["image"].startswith("town-")}


def images_are_pinned(services: Services) -> list[str]:
    """Each image has a tag that says which."""
    return [name for name, each in services.items() if each["image"].rpartition(":")[2] in {"latest", each["image"]}]


def containers_are_closed(services: Services) -> list[str]:
    """Ours: root file system read-only, no capability, nothing gained, not privileged."""
    return [
        name
        for name, each in _ours(services).items()
        if not each.get("read_only")
        or each.get("cap_drop") != ["ALL"]
        or "no-new-privileges:true" not in each.get("security_opt", ())
        or each.get("privileged")
        or each.get("network_mode") == "host"
    ]


def memory_is_limited(services: Services) -> list[str]:
    """A container that leaks dies alone."""
    return [name for name, each in services.items() if not each.get("mem_limit")]


def health_is_asked(services: Services) -> list[str]:
    """Whatever stays up is asked whether it lives."""
    return [
        name for name, each in services.items() if not each.get("healthcheck") and each.get("command") != ["migrate"]
    ]


def ports_stay_on_this_machine(services: Services) -> list[str]:
    """What is published is published to loopback; a proxy with TLS stands before it."""
    return [
        name for name, each in services.items() for port in each.get("ports", ()) if port.get("host_ip") != "127.0.0.1"
    ]


def no_secret_stands_in_clear(services: Services) -> list[str]:
    """Secrets come from files outside the repository."""
    return [
        f"{name}: {key}"
        for name, each in services.items()
        for key, value in each.get("environment", {}).items()
        if tells_a_secret(key, value or "")
    ]


RULES: Mapping[str, Callable[[Services], list[str]]] = {
    rule.__name__: rule
    for rule in (
        images_are_pinned,
        containers_are_closed,
        memory_is_limited,
        health_is_asked,
        ports_stay_on_this_machine,
        no_secret_stands_in_clear,
    )
}
