"""The network policies of Kubernetes, written from ``contracts/zones.yaml``: one set per zone, everything else closed.

Each zone is a namespace. A pod reaches: the database and the log of its zone, the logs further out, the services that
the contract lets it call, and the name server. What is called outside the town is open where the contract says
``internet``, and closed where it says ``named`` until an overlay names the address.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from town_kit.messaging.topics import contracts_folder
from town_kit.settings import Zone
from town_onebox.registry import BY_NAME

HEADER = "# Written by `make network-policies` from contracts/zones.yaml; do not edit.\n"
WEB, DATABASE, LOG = 8080, 5432, 9092
NAME, COMPONENT, ROLE = "app.kubernetes.io/name", "app.kubernetes.io/component", "town/role"
PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
LOG_OF = "log of "

Contract = Mapping[str, Any]
Policy = dict[str, Any]


def namespace(zone: Zone) -> str:
    """The namespace of a zone."""
    return f"town-{folder(zone)}"


def folder(zone: Zone) -> str:
    """How a zone is written in names: ``my-number``."""
    return zone.value.lower().replace("_", "-")


def policies(contract: Contract, zone: Zone) -> list[Policy]:
    """The network policies of one zone's namespace."""
    services = {name: Zone(where) for name, where in contract["services"].items()}
    here = [name for name, where in services.items() if where is zone]
    calls = [(call["from"], call["to"]) for call in (*contract["crossings"], *contract["within"])]
    written = [_closed(), _name_server()]
    for name in here:
        written.append(_egress(name, services, calls, contract["outside"]))
        if BY_NAME[name].serves:
            written.append(_ingress(name, services, calls, contract["doors"]))
    written.append(_let_in("database", DATABASE, [_pods(name, zone) for name in here]))
    written.append(_let_in("event-log", LOG, [_pods(n, z) for n, z in services.items() if z.depth >= zone.depth]))
    return written


def _closed() -> Policy:
    return _policy("closed", {}, ["Ingress", "Egress"])


def _name_server() -> Policy:
    to = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return _policy("name-server", {}, ["Egress"], egress=[{"to": [to], "ports": ports}])


def _egress(
    name: str, services: Mapping[str, Zone], calls: Iterable[tuple[str, str]], outside: Iterable[Contract]
) -> Policy:
    """What every pod of a service may reach: web, worker and migration alike."""
    zone = services[name]
    called = [_web(to, services[to]) for caller, to in calls if caller == name and not to.startswith(LOG_OF)]
    logs = [_component("event-log", each) for each in Zone if each.depth <= zone.depth]
    rules = [
        {"to": [_component("database", zone)], "ports": _tcp(DATABASE)},
        {"to": logs, "ports": _tcp(LOG)},
        *([{"to": called, "ports": _tcp(WEB)}] if called else []),
        *(
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}}], "ports": _tcp(*way["ports"])}
            for way in outside
            if way["from"] == name and way["where"] == "internet"
        ),
    ]
    return _policy(f"{name}-calls", {NAME: name}, ["Egress"], egress=rules)


def _ingress(
    name: str, services: Mapping[str, Zone], calls: Iterable[tuple[str, str]], doors: Iterable[Contract]
) -> Policy:
    callers = [_pods(caller, services[caller]) for caller, to in calls if to == name]
    let_in = [{"namespaceSelector": {"matchLabels": {"town/door": d["door"]}}} for d in doors if d["to"] == name]
    rules = [{"from": [*callers, *let_in], "ports": _tcp(WEB)}]
    return _policy(f"{name}-is-called", {NAME: name, ROLE: "web"}, ["Ingress"], ingress=rules)


def _let_in(component: str, port: int, callers: Sequence[Policy]) -> Policy:
    rules = [{"from": list(callers), "ports": _tcp(port)}]
    return _policy(component, {COMPONENT: component}, ["Ingress"], ingress=rules)


def _policy(name: str, selects: Mapping[str, str], types: Sequence[str], **rules: Any) -> Policy:
    selector = {"matchLabels": dict(selects)} if selects else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": selector, "policyTypes": list(types), **rules},
    }


def _peer(zone: Zone, labels: Mapping[str, str]) -> Policy:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace(zone)}},
        "podSelector": {"matchLabels": dict(labels)},
    }


def _pods(service: str, zone: Zone) -> Policy:
    return _peer(zone, {NAME: service})


def _web(service: str, zone: Zone) -> Policy:
    return _peer(zone, {NAME: service, ROLE: "web"})


def _component(name: str, zone: Zone) -> Policy:
    return _peer(zone, {COMPONENT: name})


def _tcp(*ports: int) -> list[Policy]:
    return [{"protocol": "TCP", "port": port} for port in ports]


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, _: Any) -> bool:
        return True


def text(contract: Contract, zone: Zone) -> str:
    """The file of one zone."""
    return HEADER + yaml.dump_all(policies(contract, zone), Dumper=_NoAliases, sort_keys=False, width=120)


def main(arguments: Sequence[str]) -> int:
    """Write the files below a folder, or with ``--check`` say which differ."""
    target = Path(arguments[-1])
    contract = yaml.safe_load((contracts_folder() / "zones.yaml").read_text(encoding="utf-8"))
    files = {target / folder(zone) / "policies.yaml": text(contract, zone) for zone in Zone}
    if "--check" not in arguments:
        for path, content in files.items():
            path.write_text(content, encoding="utf-8")
        return 0
    stale = [path for path, content in files.items() if not path.exists() or path.read_text("utf-8") != content]
    for path in stale:
        print(f"{path} differs from contracts/zones.yaml; run: make network-policies", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
