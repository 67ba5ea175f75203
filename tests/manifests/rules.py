"""Rules for the rendered manifests, one function each, over all documents of one rendering; a line for each breach.

A schema says what Kubernetes accepts; these say what the town accepts. ``bad/<rule>.yaml`` breaks just that rule.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
Rule = Callable[[Sequence[Document]], list[str]]

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
SECRET_NAME = re.compile(r"(PASSWORD|SECRET|_KEY|TOKEN|DATABASE_URL|OWNER_URL)$")
CREDENTIALS = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def workloads(documents: Sequence[Document]) -> Iterator[Document]:
    """What makes pods."""
    return (each for each in documents if each["kind"] in WORKLOADS)


def pod(workload: Document) -> Document:
    """The pod's own part of a workload."""
    found: Document = workload["spec"]["template"]["spec"]
    return found


def containers(documents: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Every container with the name of what it belongs to, those that run first included."""
    for workload in workloads(documents):
        for one in (*pod(workload).get("initContainers", ()), *pod(workload)["containers"]):
            yield f"{_name(workload)}/{one['name']}", one


def _name(document: Document) -> str:
    return f"{document['kind']} {document['metadata'].get('namespace', '-')}/{document['metadata']['name']}"


def images_are_pinned(documents: Sequence[Document]) -> list[str]:
    """A tag that says which, or a digest; never ``latest``, which is another image tomorrow."""
    pinned = re.compile(r"^[^@\s]+(:(?!latest$)[\w][\w.-]*|@sha256:[0-9a-f]{64})$")
    return [f"{where}: {one['image']}" for where, one in containers(documents) if not pinned.match(one["image"])]


def nobody_is_root(documents: Sequence[Document]) -> list[str]:
    """Each pod says that it is not root, and which user it is."""
    found = []
    for workload in workloads(documents):
        context = pod(workload).get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            found.append(f"{_name(workload)}: runAsNonRoot and runAsUser are needed")
    for where, one in containers(documents):
        own = one.get("securityContext", {})
        if own.get("runAsUser") == 0 or own.get("runAsNonRoot") is False:
            found.append(f"{where}: runs as root")
    return found


def root_filesystems_are_read_only(documents: Sequence[Document]) -> list[str]:
    """Nobody changes the program that runs."""
    return [
        where
        for where, one in containers(documents)
        if one.get("securityContext", {}).get("readOnlyRootFilesystem") is not True
    ]


def nothing_is_gained(documents: Sequence[Document]) -> list[str]:
    """No escalation, no capability, not privileged."""
    found = []
    for where, one in containers(documents):
        own = one.get("securityContext", {})
        dropped = own.get("capabilities", {}).get("drop") == ["ALL"] and not own["capabilities"].get("add")
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged") or not dropped:
            found.append(where)
    return found


def system_calls_are_filtered(documents: Sequence[Document]) -> list[str]:
    """``seccompProfile: RuntimeDefault`` for the pod, and no container leaves it."""
    default = {"type": "RuntimeDefault"}
    pods = [
        _name(each)
        for each in workloads(documents)
        if pod(each).get("securityContext", {}).get("seccompProfile") != default
    ]
    own = [
        where
        for where, one in containers(documents)
        if one.get("securityContext", {}).get("seccompProfile", default) != default
    ]
    return pods + own


def hosts_are_left_alone(documents: Sequence[Document]) -> list[str]:
    """No network, processes, ports or folders of the machine."""
    found = []
    for workload in workloads(documents):
        spec = pod(workload)
        shared = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
        shared += [volume["name"] for volume in spec.get("volumes", ()) if "hostPath" in volume]
        shared += [str(p["hostPort"]) for one in spec["containers"] for p in one.get("ports", ()) if "hostPort" in p]
        found += [f"{_name(workload)}: {each}" for each in shared]
    return found


def resources_are_stated(documents: Sequence[Document]) -> list[str]:
    """Requests and limits of processor and memory."""
    found = []
    for where, one in containers(documents):
        stated = one.get("resources", {})
        missing = [
            f"{kind}.{what}"
            for kind in ("requests", "limits")
            for what in ("cpu", "memory")
            if what not in stated.get(kind, {})
        ]
        found += [f"{where}: {each}" for each in missing]
    return found


def processes_are_probed(documents: Sequence[Document]) -> list[str]:
    """Our deployments answer ``/livez`` and ``/readyz``; whatever else stays up has probes of some kind."""
    found = []
    for workload in workloads(documents):
        if workload["kind"] == "Job":
            continue
        for one in pod(workload)["containers"]:
            live, ready = one.get("livenessProbe"), one.get("readinessProbe")
            paths = [(probe or {}).get("httpGet", {}).get("path") for probe in (live, ready)]
            ours = workload["kind"] == "Deployment"
            if not live or not ready or (ours and paths != ["/livez", "/readyz"]):
                found.append(f"{_name(workload)}/{one['name']}")
    return found


def secrets_are_referred_to(documents: Sequence[Document]) -> list[str]:
    """No Secret is written here, and no setting that holds one stands in clear."""
    found = [_name(each) for each in documents if each["kind"] == "Secret"]
    for where, one in containers(documents):
        clear = [(e["name"], str(e["value"])) for e in one.get("env", ()) if "value" in e]
        found += [f"{where}: {name}" for name, value in clear if tells_a_secret(name, value)]
    for each in documents:
        if each["kind"] == "ConfigMap":
            found += [f"{_name(each)}: {k}" for k, v in each.get("data", {}).items() if tells_a_secret(k, str(v))]
    return found


def tells_a_secret(name: str, value: str) -> bool:
    """Whether a setting holds a secret in clear: by its name (a path to one is none), or by what it holds."""
    named = SECRET_NAME.search(name) is not None and not value.startswith("/")
    return named or CREDENTIALS.search(value) is not None


def pods_hold_no_token_of_the_cluster(documents: Sequence[Document]) -> list[str]:
    """Nothing here asks the cluster's API for anything."""
    return [_name(each) for each in workloads(documents) if pod(each).get("automountServiceAccountToken") is not False]


def deployments_have_a_budget(documents: Sequence[Document]) -> list[str]:
    """A machine is emptied one pod of a deployment at a time, and can be emptied."""
    budgets = [each for each in documents if each["kind"] == "PodDisruptionBudget"]
    found = []
    for each in (d for d in documents if d["kind"] == "Deployment"):
        labels = each["spec"]["template"]["metadata"]["labels"].items()
        mine = [
            budget["spec"]
            for budget in budgets
            if budget["metadata"].get("namespace") == each["metadata"].get("namespace")
            and budget["spec"]["selector"]["matchLabels"].items() <= labels
        ]
        if [budget.get("maxUnavailable") for budget in mine] != [1]:
            found.append(f"{_name(each)}: one budget with maxUnavailable 1 is needed")
    return found


def namespaces_are_closed(documents: Sequence[Document]) -> list[str]:
    """Each namespace with pods has a policy that closes all of it, both ways, and names its pod security standard."""
    closed = {
        each["metadata"].get("namespace")
        for each in documents
        if each["kind"] == "NetworkPolicy"
        and each["spec"]["podSelector"] == {}
        and set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not each["spec"].get("ingress")
        and not each["spec"].get("egress")
    }
    used = {each["metadata"].get("namespace") for each in workloads(documents)}
    lax = [
        _name(each)
        for each in documents
        if each["kind"] == "Namespace"
        and each["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted"
    ]
    return [f"{namespace} is open" for namespace in sorted(map(str, used - closed))] + lax


def no_policy_lets_everybody_in_or_out(documents: Sequence[Document]) -> list[str]:
    """Each rule names its peers and ports; nobody is let in by address, and out only past the private networks."""
    found = []
    for each in (d for d in documents if d["kind"] == "NetworkPolicy"):
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for rule in each["spec"].get(way) or ():
                named = rule.get(peers) or [{}]
                blocks = [peer["ipBlock"] for peer in named if "ipBlock" in peer]
                wide = any(not peer or peer.get("namespaceSelector") == {} for peer in named)
                wide |= any(way == "ingress" or not block.get("except") for block in blocks)
                if wide or not rule.get("ports"):
                    found.append(f"{_name(each)}: {way}")
    return found


def owners_only_migrate(documents: Sequence[Document]) -> list[str]:
    """The owner of a database is known to a Job that runs once and to nobody that serves."""
    found = []
    for workload in workloads(documents):
        names = [e["name"] for one in pod(workload)["containers"] for e in one.get("env", ())]
        owner = any(name.endswith("_OWNER_URL") for name in names)
        job = workload["kind"] == "Job"
        if owner != job or (job and pod(workload).get("restartPolicy") != "Never"):
            found.append(_name(workload))
    return found


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        images_are_pinned,
        nobody_is_root,
        root_filesystems_are_read_only,
        nothing_is_gained,
        system_calls_are_filtered,
        hosts_are_left_alone,
        resources_are_stated,
        processes_are_probed,
        secrets_are_referred_to,
        pods_hold_no_token_of_the_cluster,
        deployments_have_a_budget,
        namespaces_are_closed,
        no_policy_lets_everybody_in_or_out,
        owners_only_migrate,
    )
}
