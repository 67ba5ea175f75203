"""The distributed mode (分散構成) on one machine: each service and role a process with its own settings, over Kafka.

Nothing in a service changes: what differs is settings. What the processes must know beside the secrets stands in
``distributed.json``; each writes its own file of settings (0600) when it starts, so that no process reads another's.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from town_kit.messaging.kafka_node import start_kafka
from town_kit.settings import Zone
from town_onebox import sandbox, secrets, vault_user
from town_onebox.assembly import Town
from town_onebox.place import Place
from town_onebox.registry import BY_NAME, ENTRIES, Entry
from town_onebox.sockets import Ports
from town_onebox.supervisor import Part, Supervisor, become
from town_onebox.town import PUBLIC_PORT, VAULT_PORT, WORKER_NICE, Choices, DatabaseServer, in_child, overrides, set_up


def run(choices: Choices, console: Console, last: Callable[[Town], Sequence[Part]] = lambda _: ()) -> int:
    """Start every service as processes of its own and serve until a signal; the exit code."""
    place = Place(choices.directory.resolve())
    place.make()
    account, separation = vault_user.account()
    database = DatabaseServer(place, choices.environment)
    external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    console.print("  Apache Kafka" if not external else f"  Apache Kafka at {external}", style="dim")
    kafka = None if external else start_kafka(place.kafka)
    try:
        in_child(lambda: set_up(place, choices, account, database.server.admin_dsn, console))
        console.print(f"  {separation}", style="dim")
        town = _town(place, choices, database, external or (kafka.bootstrap if kafka else ""))
        _write(town)
        sandbox.configure(town)
        outside = Part("sandbox", command=sandbox.command(place), stops_last=True)
        return Supervisor([outside, *_parts(town), *last(town)], place.logs, watch=database.watch).run()
    finally:
        if kafka is not None:
            kafka.stop()
        database.stop()


def _town(place: Place, choices: Choices, database: DatabaseServer, bootstrap: str) -> Town:
    ports = Ports(place.ports)
    urls = {}
    for entry in ENTRIES:
        if entry.serves:
            preferred = {"gateway": PUBLIC_PORT}.get(entry.name, VAULT_PORT if entry.vault else 0)
            urls[entry.name] = f"http://{choices.host}:{ports.reserve(entry.name, choices.host, preferred)}"
    return Town(
        place=place,
        secrets=secrets.read(place),
        server=(database.server.host, database.server.port),
        public_url=urls["gateway"],
        vault_url=urls.get(secrets.VAULT_SERVICE, ""),
        environment=choices.environment,
        sandbox=choices.sandbox,
        transport="kafka",
        log_addresses=dict.fromkeys(Zone, bootstrap),
        service_urls=urls,
        overrides=overrides(place),
        started_at=time.time(),
        otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
    )


def _parts(town: Town) -> list[Part]:
    parts = []
    for entry in ENTRIES:
        if entry.serves:
            parts.append(Part(f"{entry.name}-serve", command=_command(town, entry, "serve")))
        parts.append(Part(f"{entry.name}-work", command=_command(town, entry, "work"), nice=WORKER_NICE))
    return parts


def _command(town: Town, entry: Entry, role: str) -> list[str]:
    return [sys.executable, "-m", "town_onebox.distributed", str(town.place.directory), entry.name, role]


def _write(town: Town) -> None:
    known = {
        "server": town.server,
        "public_url": town.public_url,
        "vault_url": town.vault_url,
        "environment": town.environment,
        "sandbox": town.sandbox,
        "transport": town.transport,
        "log_addresses": town.log_addresses,
        "service_urls": town.service_urls,
        "started_at": town.started_at,
        "otlp_endpoint": town.otlp_endpoint,
    }
    (town.place.directory / "distributed.json").write_text(json.dumps(known, indent=2))


def _read(place: Place) -> Town:
    known = json.loads((place.directory / "distributed.json").read_text())
    known["server"] = tuple(known["server"])
    known["log_addresses"] = {Zone(zone): address for zone, address in known["log_addresses"].items()}
    return Town(place=place, secrets=secrets.read(place), overrides=overrides(place), **known)


def become_service(directory: Path, name: str, role: str) -> None:
    """Write the settings of a service, become its user, and turn into its own command line."""
    town, entry = _read(Place(directory)), BY_NAME[name]
    environment = town.environment_of(entry)
    account = vault_user.account()[0]
    path = (town.place.vault if entry.vault else town.place.environments) / f"{name}-{role}.env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in environment.items())
    if entry.vault:
        account.give(path)
        become(account)
    module, _, app = entry.command.partition(":")
    program = f"from {module} import {app} as app; app()"
    host, port = town.service_urls.get(name, ":").removeprefix("http://").rsplit(":", 1)
    wanted = ["serve", "--host", host, "--port", port] if role == "serve" else [role]
    os.execve(sys.executable, [sys.executable, "-c", program, *wanted], {**os.environ, **environment})  # noqa: S606


if __name__ == "__main__":
    become_service(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
