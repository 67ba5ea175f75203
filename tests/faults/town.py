"""The town of a fault run: every service a process, every connection between them through a proxy of ours.

Before the load somebody can be reached in it (``reachable``), and after it the count looks in (``looked_into``).
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import yaml
from tests.faults import counting, machine
from tests.faults.flows import OUTSIDE_REACHED
from tests.faults.inside import Detours
from tests.faults.ledger import Book
from tests.faults.orders import Orders
from tests.faults.proxy import Proxy

from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.kafka_node import KafkaNode
from town_kit.messaging.pglog import PgLog
from town_kit.messaging.transport import Transport
from town_kit.settings import Zone
from town_kit.testing.kafka import jars_folder
from town_onebox import secrets
from town_onebox.assembly import LOG_DATABASES
from town_onebox.journey import people
from town_onebox.registry import ENTRIES
from town_onebox.testing import RunningTown

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
DOORS = ("gateway", "standardization")
PROGRAM = ("-m", "tests.faults.inside")
GENEROUS = {"quota": 1_000_000, "window": 60}  # a handful of residents asks for a whole town
LOAD_ENDS_SECONDS = 120.0


@dataclass
class Ground:
    """What a fault is done to.

    Attributes:
        transport: kafka or pglog.
        folder: everything of this run; removed afterwards.
        town: the town.
        broker: its Apache Kafka, with ``kafka``.
        proxies: by what they stand before: ``database.<service>``, ``log.<service>``, ``service.<service>``; with
            ``kafka`` one ``broker``.
        book: the client's ledger as far as it is written.
        long: the counts and times of a release, not of a quick run.
        disk: the disk of PostgreSQL alone, where one could be made.
        log_disk: the disk of the broker alone, where one could be made.
        doors: the names of the gateway's and the vault's port.
    """

    transport: str
    folder: Path
    town: RunningTown
    broker: KafkaNode | None
    proxies: dict[str, Proxy]
    book: Book
    long: bool = False
    disk: Path | None = None
    log_disk: Path | None = None
    doors: tuple[str, str] = DOORS

    @property
    def extra(self) -> Path:
        """The folder of settings that one process gets at its next start."""
        return self.folder / "extra"

    def before(self, what: str, services: Sequence[str] = ()) -> list[Proxy]:
        """The proxies before ``database``, ``log``, ``service`` or ``broker``, of some services or of all."""
        if what == "log" and self.broker is not None:
            return [self.proxies["broker"]]
        return [
            proxy
            for name, proxy in self.proxies.items()
            if name.partition(".")[0] == what and (not services or name.partition(".")[2] in services)
        ]


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports nobody listens on, each another one; while the block runs nobody else is given one of them."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        yield [probe.getsockname()[1] for probe in probes]


@asynccontextmanager
async def standing(
    transport: str, *, long: bool = False, keep: bool = False, disks: bool = False
) -> AsyncIterator[Ground]:
    """A town that serves, in a directory of its own that goes with it unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="town-faults-", dir="/var/tmp"))
    folder.chmod(0o755)
    directory = folder / "town"
    names = [entry.name for entry in ENTRIES]
    serving = [entry.name for entry in ENTRIES if entry.serves]
    disk = directory / "postgres" if disks else None
    log_disk = folder / "kafka" if disks and transport == "kafka" else None
    async with AsyncExitStack() as stack:
        if not keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for each in filter(None, (disk, log_disk)):
            stack.enter_context(machine.small_disk(folder / f"{each.name}.image", each))
        with free_ports(1 + len(serving)) as (database, *own):
            _remember(directory, database, dict(zip(serving, own, strict=True)))
            targets = {f"database.{name}": database for name in names}
            targets |= {f"service.{name}": port for name, port in zip(serving, own, strict=True)}
            if transport == "pglog":
                targets |= {f"log.{name}": database for name in names}
            proxies = {name: await stack.enter_async_context(Proxy(HOST, port)) for name, port in targets.items()}
        broker = None
        if transport == "kafka":
            broker = await _broker(stack, folder, proxies)
        ports = {name: proxy.port for name, proxy in proxies.items()}
        detours = Detours(
            transport=transport,
            broker=broker.bootstrap if broker else "",
            database={name: ports[f"database.{name}"] for name in names},
            log={name: ports[f"log.{name}"] for name in names} if transport == "pglog" else {},
            service={name: ports[f"service.{name}"] for name in serving},
            extra=str(folder / "extra"),
        )
        (folder / "extra").mkdir()
        directory.with_suffix(".json").write_text(json.dumps(asdict(detours)))
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
        town = await asyncio.to_thread(RunningTown, directory, environment, program=PROGRAM, doors=DOORS)
        stack.push_async_callback(asyncio.to_thread, town.stop)
        yield Ground(transport, folder, town, broker, proxies, Book(folder / "ledger.jsonl"), long, disk, log_disk)


def _remember(directory: Path, database: int, services: dict[str, int]) -> None:
    """Ports as if this town had run here before: it takes them again, and the proxies know them already."""
    (directory / "postgres").mkdir(parents=True, exist_ok=True)
    (directory / "postgres" / "postgres.port").write_text(str(database))
    (directory / "ports.json").write_text(json.dumps(services))
    limits = dict.fromkeys(("anonymous", "sign-in", "resident", "staff", "vendor", "service"), GENEROUS)
    (directory / "town.yaml").write_text(yaml.safe_dump({"gateway": {"rate_limits": limits}}))


async def _broker(stack: AsyncExitStack, folder: Path, proxies: dict[str, Proxy]) -> KafkaNode:
    """A broker that sends its clients to the proxy before it."""
    kept = folder / "kafka"
    kept.mkdir(exist_ok=True)
    with free_ports(2) as ports:
        (kept / "ports.json").write_text(json.dumps(ports))
        proxies["broker"] = await stack.enter_async_context(Proxy(HOST, ports[0]))
    node = KafkaNode(kept, jars_folder())
    node.advertised = proxies["broker"].port
    node.start()  # in the main thread: the broker ends with the thread that started it
    stack.callback(node.stop)
    return node


@asynccontextmanager
async def loaded(ground: Ground, rate: float) -> AsyncIterator[None]:
    """The load runs while the block does; at the end its last answers are waited for."""
    orders = Orders(
        directory=str(ground.town.place.directory),
        doors=ground.doors,
        url=ground.town.town.public_url,
        ledger=str(ground.book.path),
        rate=rate,
        portal=ground.town.town.sandbox_addresses()["mynaportal"],
    )
    told = ground.folder / "orders.json"
    told.write_text(json.dumps(asdict(orders)))
    with (ground.folder / "load.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.load", str(told)], cwd=ROOT, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.wait, LOAD_ENDS_SECONDS)
        finally:
            process.kill()
    if code:
        raise RuntimeError(f"the load ended with {code}: {(ground.folder / 'load.out').read_text()[-2000:]}")


async def reachable(ground: Ground) -> None:
    """One of the residents has a device and a mail address, so that the outside world hears of her applications."""
    town = ground.town.town
    outside = town.sandbox_addresses()
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        own = await people.resident(town, client, OUTSIDE_REACHED)
        await people.can_be_reached(
            client, own, device="fault-device", address="faults@example.jp", mailbox=outside["smtp_control"]
        )


def looked_into(ground: Ground) -> counting.Town:
    """Where the count looks; the log is read past the proxies where that is possible."""
    passwords = {**ground.town.town.secrets.databases, **secrets.read_vault(ground.town.place).databases}

    def log_of(zone: Zone) -> Transport:
        if ground.broker is not None:
            return KafkaLog(ground.broker.bootstrap)
        name = LOG_DATABASES[zone]
        host, port = ground.town.town.server
        return PgLog(f"postgresql://{name}_app:{passwords[name].app}@{host}:{port}/{name}")

    return counting.Town(ground.town, log_of)
