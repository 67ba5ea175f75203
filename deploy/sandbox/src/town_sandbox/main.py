"""Start the outside world: each counterpart on a loopback port of its own, all in one process.

``python -m town_sandbox serve --directory .town/sandbox`` writes ``addresses.json`` there when every server listens,
prints the same as one line, and serves until SIGTERM or SIGINT. A second start takes the same ports if they are free.
"""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from town_kit.clock import SystemClock
from town_sandbox.audit_anchor import server as audit_anchor
from town_sandbox.configuration import Place, write_json
from town_sandbox.configuration import prepare as prepare_credentials
from town_sandbox.core_system import server as core_system
from town_sandbox.counterpart import Counterpart
from town_sandbox.fcm import server as fcm
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.mynaportal import server as mynaportal
from town_sandbox.mynaportal.package import Card
from town_sandbox.oidc import server as oidc
from town_sandbox.partner import server as partner
from town_sandbox.smtp import server as smtp

LISTS_EVERY_SECONDS = 6 * 3600
NAMES = ("mynaportal", "fcm", "smtp", "smtp_control", "core_system", "oidc", "audit_anchor", "partner")

app = typer.Typer(no_args_is_help=True, help="The outside world of the town, simulated on loopback.")
Directory = Annotated[Path, typer.Option(help="where ledgers, cards, addresses.json and credentials.json are kept")]


@app.command()
def serve(directory: Directory = Path(".town/sandbox")) -> None:
    """Serve all counterparts until a signal."""
    asyncio.run(run(directory.absolute()))


@app.command()
def prepare(directory: Directory = Path(".town/sandbox")) -> None:
    """Make credentials.json, the test authority and the cards, without serving."""
    make_ready(directory)


def make_ready(directory: Path, businesses: Iterable[str] = ()) -> None:
    """Everything the town needs before the sandbox serves: credentials (those of the core systems of
    these 業務ID, too), trust anchors, revocation lists, cards."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    prepare_credentials(directory, businesses)
    authority = JpkiTestAuthority.open(directory / "jpki")
    now = SystemClock().now()
    authority.publish_crls(directory / "jpki" / "crl", now)
    for name in DEMO_HOLDERS:
        open_card(directory, name, now)


def open_card(directory: Path, name: str, now: datetime | None = None) -> VirtualCard:
    """A demo card by the name of its holder. ``KeyError`` for another name."""
    holder, folder = DEMO_HOLDERS[name], directory / "jpki"
    authority = JpkiTestAuthority.open(folder)
    return VirtualCard.open(authority, holder, folder / "cards" / name, now or SystemClock().now())


def create_counterparts(place: Place, smtp_socket: socket.socket) -> list[Counterpart]:
    """All counterparts of a directory."""
    cards: dict[str, Card] = {}

    def card(name: str) -> Card:
        if name not in cards:
            cards[name] = open_card(place.directory, name)
        return cards[name]

    return [
        mynaportal.create(place, card),
        fcm.create(place),
        smtp.create(place, smtp_socket),
        core_system.create(place),
        oidc.create(place),
        audit_anchor.create(place),
        partner.create(place),
    ]


async def run(directory: Path, *, stop: asyncio.Event | None = None) -> None:
    """Serve until ``stop`` is set, or a signal when none is given."""
    await asyncio.to_thread(make_ready, directory)
    place = Place(directory)
    sockets = _bind(directory / "addresses.json")
    counterparts = create_counterparts(place, sockets["smtp"])
    servers = [_Server(_config(one)) for one in counterparts]
    stop = stop or _stopped_by_signal()
    async with asyncio.TaskGroup() as group:
        for server, one in zip(servers, counterparts, strict=True):
            group.create_task(server.serve(sockets=[sockets[one.name]]))
        background: list[Callable[[], Awaitable[None]]] = [b for one in counterparts for b in one.background]
        background.append(partial(_keep_lists_fresh, directory))
        running = [group.create_task(_forever(task)) for task in background]
        while not all(server.started for server in servers):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        _announce(directory / "addresses.json", sockets)
        await stop.wait()
        for server in servers:
            server.should_exit = True
        for task in running:
            task.cancel()
    for one in counterparts:
        one.ledger.close()


def _config(one: Counterpart) -> uvicorn.Config:
    """A request that hangs on purpose must not keep the sandbox from ending."""
    return uvicorn.Config(one.app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)


async def _forever(task: Callable[[], Awaitable[None]]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await task()


async def _keep_lists_fresh(directory: Path) -> None:
    while True:
        await asyncio.sleep(LISTS_EVERY_SECONDS)
        await asyncio.to_thread(_publish_lists, directory / "jpki")


def _publish_lists(folder: Path) -> None:
    JpkiTestAuthority.load(folder).publish_crls(folder / "crl", SystemClock().now())


class _Server(uvicorn.Server):
    """One of several servers in a process: signals are the process's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _bind(known: Path) -> dict[str, socket.socket]:
    before: Mapping[str, str] = json.loads(known.read_text()) if known.exists() else {}
    return {name: _bound(int(before.get(name, ":0").rsplit(":", 1)[1])) for name in NAMES}


def _bound(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError:
        listening.bind(("127.0.0.1", 0))
    return listening


def _announce(path: Path, sockets: Mapping[str, socket.socket]) -> None:
    addresses = {
        name: f"{'smtp' if name == 'smtp' else 'http'}://127.0.0.1:{one.getsockname()[1]}"
        for name, one in sockets.items()
    }
    write_json(path, addresses)
    print(json.dumps(addresses), flush=True)


def _stopped_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
