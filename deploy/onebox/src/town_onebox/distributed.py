"""The distributed mode (分散構成) on one machine: each service and role a process with its own settings, over Kafka.

Nothing in a service changes: what differs is settings. Each process is forked, writes its own file of settings (0600),
and then becomes the service's own command line, so that no process holds another's secrets.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from rich.console import Console

from town_kit.db.server_files import Account
from town_kit.messaging.kafka_node import KafkaNode, start_kafka
from town_kit.settings import Zone
from town_onebox import sandbox, secrets, vault_user
from town_onebox.assembly import Town
from town_onebox.choices import Choices, refuse_unsafe
from town_onebox.place import Place
from town_onebox.recovery.state import refuse_unreconciled
from town_onebox.registry import ENTRIES, Entry
from town_onebox.sockets import Ports
from town_onebox.supervisor import LONGEST_PAUSE, Part, Supervisor, become
from town_onebox.town import PUBLIC_PORT, VAULT_PORT, WORKER_NICE, DatabaseServer, in_child, overrides, set_up


@dataclass(frozen=True)
class Arrangement:
    """What a fault drill (障害訓練) arranges otherwise; operation leaves all of it alone.

    Attributes:
        transport: kafka or pglog.
        town: changes what the processes know, such as an address that leads through a proxy.
        part: changes a process before it is started.
        longest_pause: seconds before a process that ended again and again is started once more.
    """

    transport: str = "kafka"
    town: Callable[[Town], Town] = lambda town: town
    part: Callable[[Part], Part] = lambda part: part
    longest_pause: float = LONGEST_PAUSE


def run(
    choices: Choices,
    console: Console,
    last: Callable[[Town], Sequence[Part]] = lambda _: (),
    arranged: Arrangement | None = None,
) -> int:
    """Start every service as processes of its own and serve until a signal; the exit code."""
    arranged = arranged or Arrangement()
    place = Place(choices.directory.resolve())
    refuse_unsafe(choices)
    refuse_unreconciled(place)
    place.make()
    account, separation = vault_user.account()
    database = DatabaseServer(place, choices.environment)
    kafka, bootstrap = _broker(place, console) if arranged.transport == "kafka" else (None, "")
    try:
        in_child(lambda: set_up(place, choices, account, database.server.admin_dsn, console))
        console.print(f"  {separation}", style="dim")
        listening = _listen(place, choices)
        town = arranged.town(_town(place, choices, database, arranged.transport, bootstrap, listening))
        sandbox.configure(town)
        outside = Part("sandbox", command=sandbox.command(place), stops_last=True)
        parts = [outside, *_parts(town, account, listening), *last(town)]
        return Supervisor(
            [arranged.part(each) for each in parts],
            place.logs,
            watch=database.watch,
            longest_pause=arranged.longest_pause,
        ).run()
    finally:
        if kafka is not None:
            kafka.stop()
        database.stop()


def _broker(place: Place, console: Console) -> tuple[KafkaNode | None, str]:
    """The broker and its address: the one the environment names, else a node of our own."""
    external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    console.print("  Apache Kafka" if not external else f"  Apache Kafka at {external}", style="dim")
    if external:
        return None, external
    node = start_kafka(place.kafka)
    return node, node.bootstrap


def _listen(place: Place, choices: Choices) -> dict[str, socket.socket]:
    """Where each service answers; bound here and kept, so that nobody takes a port while its process is away."""
    ports = Ports(place.ports)
    preferred = {entry.name: VAULT_PORT if entry.vault else 0 for entry in ENTRIES if entry.serves}
    preferred["gateway"] = PUBLIC_PORT
    return {name: ports.listen(name, choices.host, port)[0] for name, port in preferred.items()}


def _town(
    place: Place,
    choices: Choices,
    database: DatabaseServer,
    transport: str,
    bootstrap: str,
    listening: Mapping[str, socket.socket],
) -> Town:
    urls = {name: f"http://{choices.host}:{one.getsockname()[1]}" for name, one in listening.items()}
    return Town(
        place=place,
        secrets=secrets.read(place),
        server=(database.server.host, database.server.port),
        public_url=urls["gateway"],
        vault_url=urls.get(secrets.VAULT_SERVICE, ""),
        environment=choices.environment,
        sandbox=choices.sandbox,
        transport=transport,
        log_addresses=dict.fromkeys(Zone, bootstrap),
        service_urls=urls,
        overrides=overrides(place),
        started_at=time.time(),
        otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
    )


def _parts(town: Town, account: Account, listening: Mapping[str, socket.socket]) -> list[Part]:
    parts = []
    for entry in ENTRIES:
        if entry.serves:
            serve = partial(become_service, town, entry, "serve", account, listening[entry.name])
            parts.append(Part(f"{entry.name}-serve", serve))
        work = partial(become_service, town, entry, "work", account)
        parts.append(Part(f"{entry.name}-work", work, nice=WORKER_NICE))
    return parts


def become_service(
    town: Town, entry: Entry, role: str, account: Account, listening: socket.socket | None = None
) -> NoReturn:
    """In a forked child: write the settings of a service, become its user, and turn into its own command line."""
    environment = town.environment_of(entry)
    path = (town.place.vault if entry.vault else town.place.environments) / f"{entry.name}-{role}.env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in environment.items())
    if entry.vault:
        account.give(path)
        become(account)
    module, _, app = entry.command.partition(":")
    program = f"from {module} import {app} as app; app()"
    wanted = [role]
    if listening is not None:
        listening.set_inheritable(True)
        wanted += ["--fd", str(listening.fileno())]
    os.execve(sys.executable, [sys.executable, "-c", program, *wanted], {**os.environ, **environment})  # noqa: S606 - our own interpreter
