"""What the drills share: a town under load whose box burns, and the client's own ledger of what it was told."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.console import Console
from rich.table import Table

from town_onebox.journey import hops, people
from town_onebox.testing import RunningTown

PATH = "/procedures/v1/applications"
GENEROUS = {"quota": 1_000_000, "window": 60}
CALLERS = ("anonymous", "resident", "staff", "vendor", "service")


@dataclass
class ClientLedger:
    """What the clients know: which application was acknowledged when, and sent when before that (monotonic seconds),
    and what the portal took.
    """

    applications: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    receipts: list[str] = field(default_factory=list)
    failed: int = 0


def prepare(place: Path) -> None:
    """A fresh place whose limits let a drill do a month's work in a minute."""
    place.mkdir()
    limits = dict.fromkeys(CALLERS, GENEROUS)
    (place / "town.yaml").write_text(yaml.safe_dump({"gateway": {"rate_limits": limits}}))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of one box, as an operator gives it; its last words are the message of a failure."""
    done = subprocess.run(
        [sys.executable, "-m", "town_onebox", *arguments], capture_output=True, text=True, check=False, timeout=240
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return done


def sample(folder: str) -> dict[str, Any]:
    """The valid sample of a procedure's folder."""
    path = resources.files("town_procedures.catalogue").joinpath(folder, "samples", "valid.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


async def file_by_app(client: httpx.AsyncClient, resident: people.SignedIn, ledger: ClientLedger) -> None:
    """One application over the app; the same key until there is an answer, or until the caller gives up."""
    body = {"procedure_code": "LC-01", "answers": sample("care_need_certification")["answers"]}
    headers = resident.headers
    while True:
        sent = time.monotonic()
        try:
            answer = await client.post(PATH, json=body, headers=headers)
        except httpx.TransportError:
            ledger.failed += 1
            await asyncio.sleep(0.05)
            continue
        if answer.status_code == 201:
            application = answer.json()["id"]
            ledger.applications[application], ledger.sent[application] = time.monotonic(), sent
            return
        if answer.status_code not in {409, 429, 503}:
            raise RuntimeError(f"{PATH}: {answer.status_code} {answer.text[:300]}")
        await asyncio.sleep(0.05)


def portal_application() -> dict[str, Any]:
    """What a citizen's device sends to the portal: answers, files, and whose card signs."""
    example = sample(hops.FOLDER)
    attachment = {"filename": "a.pdf", "media_type": "application/pdf", "content": base64.b64encode(hops.PDF).decode()}
    return {
        "procedure_id": hops.PORTAL_PROCEDURE,
        "answers": example["answers"],
        "attachments": [{"kind": kind, **attachment} for kind in example["attachments"]],
        "card": "hanako",
    }


async def file_at_portal(client: httpx.AsyncClient, portal: str, ledger: ClientLedger) -> None:
    """One signed application at the portal."""
    answer = await client.post(f"{portal}/_citizen/applications", json=portal_application())
    ledger.receipts.append(people.told(answer)["receipt_no"])


async def sign_in(town: RunningTown, client: httpx.AsyncClient) -> people.SignedIn:
    """A resident who is linked, and whom mail and push reach."""
    await people.link_numbers(town.town, client)
    resident = await people.resident(town.town, client, "hanako")
    outside = town.town.sandbox_addresses()
    await people.can_be_reached(
        client, resident, device=hops.DEVICE, address=hops.EMAIL, mailbox=outside["smtp_control"]
    )
    return resident


def destroy(town: RunningTown, outside: Path) -> float:
    """The box burns: every process is killed, and its folder is gone. Only the outside world is left, in ``outside``.

    ``outside`` gets the sandbox, and the web processes' logs as a log server elsewhere would have them. Answers when
    it happened (monotonic seconds).
    """
    place = town.place.directory
    postgres = int((town.place.postgres / "cluster" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    supervisor = town.process_id
    victims = [postgres, *_children(postgres), supervisor, *_children(supervisor)]
    at = time.monotonic()
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    town.stop()
    outside.mkdir()
    shutil.copytree(place / "logs", outside / "logs")
    (place / "sandbox").rename(outside / "sandbox")
    shutil.rmtree(place)
    return at


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """A table for people, or with JSON=1 one object a line."""
    if os.environ.get("JSON") == "1":
        for row in rows:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        return
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "name" else "right")
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    Console().print(table)
