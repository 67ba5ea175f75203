"""`whole-town-minute`: every resident of the town (7,890) applies within one minute, each signed by her own card.

131.5 applications a second come whether or not the last ones are answered. Each has a CMS signature, which identity
verifies with its certificate; one in a hundred has a photo of 2 MB, uploaded first; one client in twenty sends its
application a second time with the same key, half of them before the first is answered. Who is refused for load comes
again after ``Retry-After``, with the same key. Times count from the moment an application was due to its answer.

The client writes a ledger of its own: what it intends before it sends, what was acknowledged after. When everything is
drained, each acknowledged application must have one row, one event and one message to its applicant; ``lost`` counts
those that miss one, ``duplicated`` what is there twice or was never acknowledged. The reference of the times is the
same request on the idle town, one at a time.
"""

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.load.box import drained, quiet_outside, rows, under_load
from tests.load.measure import Measure, quantile
from tests.load.residents import Applicant, prepare
from tests.load.sending import Answer, Cut, Sender, open_loop

from town_onebox.assembly import Town

RESIDENTS = 7_890
SECONDS = 60.0
PATIENCE_SECONDS = 90.0
FIRST = 60
PHOTO_EVERY = 100
AGAIN_EVERY = 20
AGAIN_AFTER_SECONDS = 0.05
CONNECTIONS = 100
FSYNC_SECONDS = 0.1

EVENTS = """SELECT key AS id, count(*) AS found FROM outbox
    WHERE topic = 'procedures.applications' AND type = 'town.procedures.application.submitted.v1' GROUP BY key"""
MESSAGES = """SELECT application_id AS id, count(*) AS found FROM messages
    WHERE kind = 'application.submitted' GROUP BY application_id"""


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    found = await under_load(__name__)
    times, idle, taken = found["times_ms"], found["idle_ms"], found["acknowledged"]
    name = "whole_town_minute"
    return [
        *(
            Measure(f"{name}.{label}", quantile(times, share), "ms", quantile(idle, share),
                    quantile(times, share) / quantile(idle, share))
            for label, share in (("p50", 0.5), ("p99", 0.99))
        ),
        Measure(f"{name}.acknowledged", taken, "applications", RESIDENTS, taken / RESIDENTS),
        Measure(f"{name}.last_acknowledged_s", found["last_s"], "s", SECONDS, found["last_s"] / SECONDS),
        Measure(f"{name}.lost", found["lost"], "applications", 0, None),
        Measure(f"{name}.duplicated", found["duplicated"], "applications", 0, None),
        Measure(f"{name}.came_again", found["came_again"], "calls", None, None),
        Measure(f"{name}.drain_s", found["drain_s"], "s", None, None),
    ]  # fmt: skip


class Ledger:
    """The client's own: a line before each application is sent and one when it is acknowledged, on disk in batches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def note(self, number: int, outcome: str, **more: str) -> None:
        """Write a line."""
        self._file.write(json.dumps({"n": number, "outcome": outcome, "at": time.monotonic(), **more}) + "\n")

    async def keep(self) -> None:
        """Bring what was written to the disk, again and again."""
        while True:
            self._file.flush()
            await asyncio.to_thread(os.fsync, self._file.fileno())
            await asyncio.sleep(FSYNC_SECONDS)

    def acknowledged(self) -> dict[int, set[UUID]]:
        """For each applicant who was told an id: every id she was told."""
        self._file.flush()
        found: dict[int, set[UUID]] = {}
        for line in self._path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["outcome"] == "acknowledged":
                found.setdefault(entry["n"], set()).add(UUID(entry["id"]))
        return found


class Residents:
    """Sends what was prepared, and insists until there is a definite answer."""

    def __init__(self, town: Town, ledger: Ledger, give_up: float) -> None:
        self.times: list[float] = []
        self.came_again: Counter[str] = Counter()
        self.last = 0.0
        self._sender = Sender(town.public_url, connections=CONNECTIONS)
        self._ledger = ledger
        self.give_up = give_up

    async def apply(self, who: Applicant, due: float) -> None:
        """One application, with her photo before it."""
        self._ledger.note(who.number, "intent", sha256=hashlib.sha256(who.submit).hexdigest())
        if who.upload is not None and await self._insist(who.upload) is None:
            return
        answers = [self._submit(who, due)]
        if who.number % AGAIN_EVERY == 0 and who.number % (2 * AGAIN_EVERY):
            answers.append(self._again(who))
        await asyncio.gather(*answers)
        if who.number % (2 * AGAIN_EVERY) == 0:
            await self._again(who)

    async def _submit(self, who: Applicant, due: float) -> None:
        answer = await self._insist(who.submit)
        if answer is None:
            self._ledger.note(who.number, "unknown")
            return
        self.last = time.monotonic()
        self.times.append((self.last - due) * 1000)
        self._ledger.note(who.number, "acknowledged", id=json.loads(answer.body)["id"])

    async def _again(self, who: Applicant) -> None:
        await asyncio.sleep(AGAIN_AFTER_SECONDS)
        answer = await self._insist(who.submit)
        if answer is not None:
            self._ledger.note(who.number, "acknowledged", id=json.loads(answer.body)["id"])

    async def _insist(self, content: bytes) -> Answer | None:
        """The answer of 2xx; what is refused for load or in progress is sent again as it says, None in the end.

        Raises:
            RuntimeError: it was refused for good; nothing here should be.
        """
        while time.monotonic() < self.give_up:
            try:
                answer = await self._sender.send(content)
            except Cut:
                self.came_again["cut"] += 1
                await asyncio.sleep(0.2)
                continue
            if answer.status < 300:
                return answer
            if answer.status < 500 and answer.status not in (409, 429):
                raise RuntimeError(f"an application was answered with {answer.status}: {answer.body!r}")
            self.came_again[str(answer.status)] += 1
            await asyncio.sleep(float(answer.header("retry-after") or 1))
        return None


async def load(town: Town) -> dict[str, Any]:
    """Prepare, let everybody come, wait for the last effect, count."""
    await quiet_outside(town)
    everybody = await prepare(town, FIRST + RESIDENTS, with_photo=range(FIRST, FIRST + RESIDENTS, PHOTO_EVERY))
    ledger = Ledger(town.place.directory / "client-ledger.jsonl")
    with _kept(ledger):
        first = Residents(town, ledger, time.monotonic() + PATIENCE_SECONDS)
        for who in everybody[:FIRST]:  # one at a time, on the idle town
            await first.apply(who, time.monotonic())
        began = time.monotonic()
        residents = Residents(town, ledger, began + PATIENCE_SECONDS)
        coming = iter(everybody[FIRST:])
        await open_loop(RESIDENTS / SECONDS, SECONDS, lambda due: residents.apply(next(coming), due), RESIDENTS)
        ended = time.monotonic()
        await drained(town)
    acknowledged = ledger.acknowledged()
    return {
        "idle_ms": first.times[FIRST // 3 :],  # the first calls warm up
        "times_ms": residents.times,
        "acknowledged": len(acknowledged) - FIRST,
        "last_s": residents.last - began,
        "came_again": sum(residents.came_again.values()),
        "drain_s": time.monotonic() - ended,
        **await _count(town, acknowledged),
    }


@contextmanager
def _kept(ledger: Ledger) -> Iterator[None]:
    keeping = asyncio.create_task(ledger.keep())
    try:
        yield
    finally:
        keeping.cancel()


async def _count(town: Town, acknowledged: dict[int, set[UUID]]) -> dict[str, int]:
    """What the ledger knows against what there is: rows, events and effects."""
    told = {one for ids in acknowledged.values() for one in ids}
    stored = {row["id"] for row in await rows(town, "procedures", "SELECT id FROM applications")}
    events = {row["id"]: row["found"] for row in await rows(town, "procedures", EVENTS)}
    effects = {row["id"]: row["found"] for row in await rows(town, "notifications", MESSAGES)}
    lost = [one for one in told if one not in stored or not events.get(one) or not effects.get(one)]
    twice = [one for one in told if events.get(one, 0) > 1 or effects.get(one, 0) > 1]
    return {
        "lost": len(lost),
        "duplicated": len(twice) + len(stored - told) + sum(len(ids) - 1 for ids in acknowledged.values()),
    }
