"""The load: an open-loop client in a process of its own, which never believes anything it was not told.

Applications arrive as a Poisson process, whether the town answers or not. Each is submitted; a part is then withdrawn,
a part accepted, decided and completed. What had no definite answer is sent again with the same key until it has one.

``python -m tests.faults.load <orders.json>`` runs until SIGTERM, then brings what was begun to an end.
"""

import asyncio
import hashlib
import json
import random
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from tests.faults import burning
from tests.faults.counting_portal import AT_PORTAL
from tests.faults.ledger import Ledger, Outcome
from tests.faults.orders import Orders

from town_kit.idempotency import canonical
from town_kit.ids import new_id
from town_onebox.journey import people
from town_onebox.testing import town_of

PATH = "/procedures/v1/applications"
FLOWS = (("submit",), ("submit",), ("submit", "withdraw"), ("submit", "accept", "decide", "complete"))
OPERATIONS_A_FLOW = sum(map(len, FLOWS)) / len(FLOWS)
BODIES = {"decide": {"decision": "approved"}}
TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=3)
LAST_ANSWERS_SECONDS = 90.0
SIGN_IN_AGAIN = 0.5  # of a token's life
SIGN_IN_AT_MOST_SECONDS = 5.0  # where a clock is wrong, a new token helps nobody
UNAUTHORIZED = 401
LONGEST_PAUSE = 5.0
# The numbers the samples hold; the town stores an answer without them.
MY_NUMBER = ("insured_person", "my_number")


@dataclass
class Client:
    """Everybody who asks: the residents and the officer, their tokens, and the ledger they share."""

    orders: Orders
    ledger: Ledger
    http: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)
    operations: int = 0
    flows: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    refused: asyncio.Event = field(default_factory=asyncio.Event)

    async def sign_in(self) -> None:
        """Keep everybody signed in, long before a token ends and after one was refused; try again without identity."""
        town = town_of(Path(self.orders.directory), self.orders.doors)
        while True:
            try:
                async with httpx.AsyncClient(base_url=self.orders.url, timeout=10, trust_env=False) as client:
                    residents = [await people.resident(town, client, name) for name in self.orders.residents]
                    officer = await people.staff(client, "clerk")
            except (httpx.HTTPError, people.Refused, KeyError):
                await asyncio.sleep(1)
                continue
            self.tokens = {name: one.token for name, one in zip(self.orders.residents, residents, strict=True)}
            self.tokens["officer"] = officer.token
            await asyncio.sleep(SIGN_IN_AT_MOST_SECONDS)
            self.refused.clear()
            with suppress(TimeoutError):
                wait = SIGN_IN_AGAIN * min(one.expires_in for one in (*residents, officer))
                await asyncio.wait_for(self.refused.wait(), wait)

    async def arrive(self, stop: asyncio.Event) -> None:
        """Let applications arrive until ``stop``, then wait for the answers that are still to come."""
        flows: set[asyncio.Task[None]] = set()
        rate = self.orders.rate / OPERATIONS_A_FLOW
        due = time.monotonic()
        while not stop.is_set():
            due += random.expovariate(rate)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(due - time.monotonic(), 0))
            task = asyncio.create_task(self._flow())
            flows.add(task)
            task.add_done_callback(flows.discard)
        if flows:
            await asyncio.wait(flows, timeout=LAST_ANSWERS_SECONDS)

    async def file_at_portal(self, stop: asyncio.Event) -> None:
        """Let signed applications arrive at the portal until ``stop``; its receipt is the promise."""
        content = burning.portal_application()
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), random.expovariate(self.orders.portal_rate))
            self.flows += 1
            self.operations += 1
            number, flow, key = self.operations, self.flows, str(new_id())
            await self.ledger.intend(
                op=number, flow=flow, kind=AT_PORTAL, key=key, digest="", sent=time.monotonic(), person=content["card"]
            )
            status, answer, _ = await self._send(f"{self.orders.portal}/_citizen/applications", content, {})
            took = {"application": answer["receipt_no"]} if status == 201 else {}
            outcome = Outcome.ACKED if took else Outcome.UNKNOWN
            self.ledger.note(op=number, outcome=outcome, status=status, definite=True, at=time.monotonic(), **took)

    async def _flow(self) -> None:
        self.flows += 1
        flow, moves = self.flows, random.choice(FLOWS)
        resident = self.orders.residents[flow % len(self.orders.residents)]
        view: Mapping[str, Any] | None = None
        for kind in moves:
            actor = "officer" if kind in ("accept", "decide", "complete") else resident
            view = await self._operation(flow, kind, actor, resident, view)
            if view is None:
                return

    async def _operation(
        self, flow: int, kind: str, actor: str, person: str, view: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """One operation, tried until its answer is definite; the application as it then is, None when refused."""
        self.operations += 1
        number, key = self.operations, str(new_id())
        content: Any
        if view is None:
            answers = {**self.answers, "remarks": remarks(flow)}
            path, content, digest = PATH, {"procedure_code": "LC-01", "answers": answers}, digest_of(answers)
        else:
            path, content, digest = f"{PATH}/{view['id']}/{kind}", BODIES.get(kind), ""
        await self.ledger.intend(
            op=number, flow=flow, kind=kind, key=key, digest=digest, sent=time.monotonic(), person=person
        )
        pause = 0.05
        while True:
            headers = {"Authorization": f"Bearer {self.tokens[actor]}", "Idempotency-Key": key}
            if view is not None:
                headers["If-Match"] = f'"{view["version"]}"'
            status, answer, patience = await self._send(path, content, headers)
            outcome, definite = judge(status, answer)
            known = {"application": answer["id"]} if outcome is Outcome.ACKED else {}
            self.ledger.note(op=number, outcome=outcome, status=status, definite=definite, at=time.monotonic(), **known)
            if status == UNAUTHORIZED:
                self.refused.set()
            if definite:
                return answer if outcome is Outcome.ACKED else None
            await asyncio.sleep((pause + patience) * random.uniform(0.75, 1.25))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _send(self, path: str, content: Any, headers: Mapping[str, str]) -> tuple[int, Any, float]:
        """Status, body, and for how many seconds the town asks to be left alone; 0 and None without an answer."""
        try:
            async with self.http.post(path, json=content, headers=headers) as answer:
                told = answer.headers.get("Retry-After", "")
                return answer.status, await answer.json(content_type=None), float(told) if told.isdigit() else 0.0
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, None, 0.0


def judge(status: int, answer: Any) -> tuple[Outcome, bool]:
    """What an answer says, and whether it is the last word.

    401 means that the token ended, or that a clock is wrong: another token, the same key.
    """
    if 200 <= status < 300:
        return Outcome.ACKED, True
    if status in (401, 429, 503) or (status == 409 and answer["type"].endswith(":in-progress")):
        return Outcome.REFUSED, False
    if 400 <= status < 500:
        return Outcome.REFUSED, True
    return Outcome.UNKNOWN, False


def remarks(flow: int) -> str:
    """The free text by which an application is known again, wherever it comes from."""
    return f"障害訓練 第{flow}番"


def digest_of(answers: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical answers without the My Number, which the owner does not keep."""
    group, name = MY_NUMBER
    kept = {**answers, group: {**answers[group], name: None}}
    return hashlib.sha256(canonical(kept)).hexdigest()


def sample() -> dict[str, Any]:
    """The answers of the care procedure's sample."""
    path = resources.files("town_procedures.catalogue").joinpath("care_need_certification/samples/valid.json")
    answers: dict[str, Any] = json.loads(path.read_text("utf-8"))["answers"]
    return answers


async def main(orders: Orders) -> None:
    """Sign in, send until SIGTERM, and wait for the last answers."""
    stop = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, stop.set)
    ledger = Ledger(Path(orders.ledger))
    connector = aiohttp.TCPConnector(limit=orders.connections)
    async with aiohttp.ClientSession(orders.url, connector=connector, timeout=TIMEOUT) as http:
        client = Client(orders, ledger, http, answers=sample())
        background = [asyncio.create_task(client.sign_in()), asyncio.create_task(ledger.keep())]
        while not client.tokens and not stop.is_set():
            await asyncio.sleep(0.05)
        await asyncio.gather(client.arrive(stop), client.file_at_portal(stop))
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Orders(**json.loads(Path(sys.argv[1]).read_text()))))
