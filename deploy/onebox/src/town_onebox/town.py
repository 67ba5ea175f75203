"""Starting the town on one box: directory, secrets, database server, sandbox, and the processes around them."""

import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from rich.console import Console

from town_kit.db import server
from town_kit.db.server_files import Account, NoServer, account_for_server, data_directory
from town_kit.line import Places
from town_kit.rush import Rush
from town_kit.settings import Zone
from town_onebox import clients, databases, processes, sandbox, secrets, vault_user
from town_onebox.assembly import LOG_DATABASES, Process, Town
from town_onebox.choices import Choices, keep, refuse_unsafe
from town_onebox.core_systems import core_systems
from town_onebox.place import Place
from town_onebox.recovery.state import refuse_unreconciled
from town_onebox.registry import ENTRIES
from town_onebox.sockets import Ports, listen_at
from town_onebox.supervisor import Part, Supervisor

WORKER_NICE = 7
PUBLIC_PORT = 8080
VAULT_PORT = 8090


def run(choices: Choices, console: Console, last: Callable[[Town], Sequence[Part]] = lambda _: ()) -> int:
    """Start the town and serve until a signal; the exit code.

    Args:
        choices: what to start.
        console: where progress is told.
        last: parts that are started beside the town, such as the journey.
    """
    refuse_unsafe(choices)
    place = Place(choices.directory.resolve())
    refuse_unreconciled(place)
    place.make()
    account, separation = vault_user.account()
    database = DatabaseServer(place, choices.environment)
    try:
        in_child(lambda: set_up(place, choices, account, database.server.admin_dsn, console))
        in_child(lambda: refuse_unready(choices))
        keep(choices)
        console.print(f"  {separation}", style="dim")
        ports = Ports(place.ports)
        public, known = _public_sockets(ports, choices), overrides(place)
        vault = ports.listen("vault", "127.0.0.1", VAULT_PORT)
        internal = _internal_sockets(place, choices.zones, account)
        town = Town(
            place=place,
            secrets=secrets.read(place),
            server=(database.server.host, database.server.port),
            public_url=_public_url(choices, public, known),
            vault_url=_url("127.0.0.1", vault[0]),
            zones=choices.zones,
            environment=choices.environment,
            sandbox=choices.sandbox,
            overrides=known,
            started_at=time.time(),
            otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
        )
        rush = Rush()  # before the fork, so that all of them share it
        parts = [*_sandbox(town), *_web(town, public, internal, rush)]
        if any(entry.urgent for entry in town.entries()):
            parts.append(Part("emergency", processes.emergency(town)))
        if town.entries():
            parts.append(Part("worker", processes.worker(town, rush), nice=WORKER_NICE))
        if town.entries(vault=True):
            parts.append(Part("vault", processes.vault(town, vault, account, rush), nice=WORKER_NICE))
        return Supervisor([*parts, *last(town)], place.logs, watch=database.watch).run()
    finally:
        database.stop()


def refuse_unready(choices: Choices) -> None:
    """What can be known to be wrong before anything that cannot be taken back, such as a promotion.

    Makes each service once, so it runs in a child (:func:`in_child`): what is forked later starts clean.

    Raises:
        ValueError: the choices are unsafe, or ``town.yaml`` does not hold what the services here need.
        RuntimeError: the town was restored and not compared with the outside, or a profile has gaps.
    """
    refuse_unsafe(choices)
    place = Place(choices.directory.resolve())
    refuse_unreconciled(place)
    known = overrides(place)
    if choices.sandbox:
        return  # the sandbox says where it is once it runs
    town = Town(
        place=place,
        secrets=secrets.read(place),
        server=(server.HOST, 0),
        public_url=_public_url(choices, None, known),
        vault_url=f"http://{server.HOST}",
        zones=choices.zones,
        environment=choices.environment,
        overrides=known,
    )
    for entry in (*town.entries(), *town.entries(vault=True)):
        try:
            town.service(entry.name, Process.WORKER)
        except ValidationError as error:
            wrong = "、".join(
                f"{'.'.join(map(str, one['loc']))}({one['msg']})" for one in error.errors(include_input=False)
            )
            raise ValueError(f"{entry.name} の設定を town.yaml で直してください: {wrong}") from None


def set_up(place: Place, choices: Choices, vault: Account, admin_dsn: str, console: Console) -> None:
    """Make what is missing: secrets, the sandbox's cards, databases, tables. Runs in a child, which takes the vault's
    secrets along when it ends."""
    console.print("  secrets and keys", style="dim")
    made = secrets.prepare(place)
    made_for_vault = secrets.prepare_vault(place, vault)
    for business in core_systems():
        (place.drop / business).mkdir(exist_ok=True, mode=0o750)
        vault.give(place.drop / business)
    if choices.sandbox:
        console.print("  test cards of the sandbox", style="dim")
        sandbox.prepare(place)
    clients.write(place, sandbox=choices.sandbox)
    here = {entry.name: entry.migrations for entry in ENTRIES if entry.zone in choices.zones}
    wanted = {*here, *(LOG_DATABASES[zone] for zone in choices.zones)}
    passwords = {**made.databases, **made_for_vault.databases}
    databases.provide(
        admin_dsn,
        {name: passwords[name] for name in passwords if name in wanted},
        here,
        backup_password=made.backup_password,
        progress=lambda what: console.print(f"  {what}", style="dim"),
    )


def in_child(work: Callable[[], None]) -> None:
    """Run ``work`` in a forked child and wait for it; raises ``RuntimeError`` when it fails."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except (ValueError, RuntimeError) as failure:
            print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise RuntimeError("町の準備ができませんでした。理由は上に出ています。")


class DatabaseServer:
    """The town's PostgreSQL, started again when it dies; its clients connect again by themselves."""

    def __init__(self, place: Place, environment: str) -> None:
        self._place, self._environment = place, environment
        self.server = self._start()

    def _start(self) -> server.Server:
        return server.start(self._place.postgres, environment=self._environment)

    def watch(self) -> None:
        """Start it again when it has ended; what a killed one leaves behind may need a moment to go."""
        if self.server.alive():
            return
        try:
            self.server = self._start()
            print(f"[town] PostgreSQL had ended; it runs again on port {self.server.port}", file=sys.stderr, flush=True)
        except NoServer as failure:
            print(f"[town] {failure}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Stop it; the last thing the town does."""
        self.server.stop()


def _public_sockets(ports: Ports, choices: Choices) -> dict[str, list[socket.socket]]:
    """Where others reach this box: the gateway; where that is elsewhere, each LGWAN service on a port of its own."""
    if Zone.INTERNET in choices.zones:
        return {"gateway": ports.listen("public", choices.host, PUBLIC_PORT, choices.web_processes)}
    return {
        entry.name: ports.listen(entry.name, choices.host, 0, choices.web_processes)
        for entry in ENTRIES
        if entry.serves and not entry.vault and entry.zone in choices.zones
    }


def _public_url(
    choices: Choices, public: Mapping[str, Sequence[socket.socket]] | None, known: Mapping[str, Mapping[str, Any]]
) -> str:
    """Where the town is seen from outside: what ``town.yaml`` says, else this machine's own gateway.

    Args:
        choices: which zones run here, and on which address.
        public: the bound sockets; None before any is bound.
        known: the settings in ``town.yaml``.

    Raises:
        ValueError: the gateway is elsewhere and nobody said where.
    """
    named = known.get("town", {}).get("public_url")
    if named:
        return str(named)
    if Zone.INTERNET not in choices.zones:
        raise ValueError("gateway は別の機械で動きます。town.yaml に town: {public_url: https://…} を書いてください。")
    return f"http://{choices.host}" if public is None else _url(choices.host, public["gateway"][0])


def _web(
    town: Town,
    public: Mapping[str, Sequence[socket.socket]],
    internal: Mapping[str, socket.socket],
    rush: Rush,
) -> list[Part]:
    """The web processes, each with a socket of its own on every port."""
    children = max((len(sockets) for sockets in public.values()), default=0)
    places = Places()  # before the fork, as the rush
    return [
        Part(
            f"web-{number + 1}",
            processes.web(town, {name: [sockets[number]] for name, sockets in public.items()}, internal, places, rush),
        )
        for number in range(children)
    ]


def _sandbox(town: Town) -> list[Part]:
    if not town.sandbox:
        return []
    sandbox.configure(town)
    return [Part("sandbox", command=sandbox.command(town.place), nice=WORKER_NICE, stops_last=True)]


def _internal_sockets(place: Place, zones: frozenset[Zone], vault: Account) -> dict[str, socket.socket]:
    """The sockets of the LGWAN services; the vault's group may use them too."""
    folder = place.internal_socket("any").parent
    os.chown(folder, -1, vault.gid)
    names = [e.name for e in ENTRIES if e.serves and e.zone is Zone.LGWAN and e.zone in zones]
    return {name: listen_at(place.internal_socket(name), vault.gid) for name in names}


def _url(host: str, listening: socket.socket) -> str:
    return f"http://{host}:{listening.getsockname()[1]}"


def overrides(place: Place) -> dict[str, dict[str, Any]]:
    """The settings in ``town.yaml``, by service; for real counterparts and for what a town wants otherwise.

    Raises:
        ValueError: the file is no YAML.
    """
    path = place.directory / "town.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"({mark.line + 1} 行目)" if mark else ""
        raise ValueError(f"{path} が YAML として読めません{where}。") from None
    return dict(found or {})


def reset(directory: Path) -> None:
    """Remove everything the town keeps, its secrets included."""
    place = Place(directory.resolve())
    if not (place.secrets.exists() or place.postgres.exists()):
        return
    data = data_directory(place.postgres, account_for_server()).parent if place.postgres.exists() else place.postgres
    for path in (data, place.internal_socket("any").parent, place.directory):
        if path.exists():  # a disk may have taken a part of it
            shutil.rmtree(path)
