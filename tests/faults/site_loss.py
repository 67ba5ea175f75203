"""``make site-loss``: a standby on other storage is promoted by one command, under load, after the primary is gone.

Twice: with synchronous replication, where nothing that was acknowledged may be gone (RPO 0), and without, where it may
be five minutes. Counted from the client's own ledger; the time until the first new answer is the RTO (at most 15 min).
"""

import asyncio
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from tests.faults import burning
from tests.faults.burning import ClientLedger

from town_onebox import testing
from town_onebox.journey import people
from town_onebox.testing import RunningTown

CONNECTIONS = 4
BEFORE, AFTER = 8.0, 4.0
LONGEST_RPO = 300.0
LONGEST_RTO = 900.0
READY_SECONDS = 60.0
PROMOTE = ("-m", "town_onebox", "promote", "--sandbox", "--environment", "development", "--directory")


@dataclass
class Load:
    """Clients that go on filing whatever happens, each with the same key until it has an answer."""

    ledger: ClientLedger = field(default_factory=ClientLedger)
    over: bool = False

    async def client(self, url: str, resident: people.SignedIn) -> None:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
            while not self.over:
                await burning.file_by_app(client, resident, self.ledger)


class Standby:
    """``python -m town_onebox standby`` as a process beside the town."""

    def __init__(self, primary: Path, directory: Path, *, synchronous: bool) -> None:
        self.log = directory.with_name(f"{directory.name}.out")
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "town_onebox", "standby", "--of", str(primary)),
                    *("--directory", str(directory), *(("--synchronous",) if synchronous else ())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def wait(self) -> None:
        """Until it follows."""
        give_up = time.monotonic() + READY_SECONDS
        while "追いかけています" not in self.log.read_text("utf-8"):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the standby does not follow: {self.log.read_text('utf-8')[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, if a promotion has not done so."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


async def run(folder: Path, *, synchronous: bool, before: float = BEFORE, after: float = AFTER) -> dict[str, Any]:
    """One fire; the row of the table."""
    primary, other = folder / "town", folder / "other-storage"
    burning.prepare(primary)
    town = RunningTown(primary)
    standby = None
    load = Load()
    clients: list[asyncio.Task[None]] = []
    promoted = None
    try:
        async with httpx.AsyncClient(base_url=town.town.public_url, trust_env=False, timeout=20) as client:
            resident = await burning.sign_in(town, client)
        standby = Standby(primary, other, synchronous=synchronous)
        await asyncio.to_thread(standby.wait)
        clients = [asyncio.create_task(load.client(town.town.public_url, resident)) for _ in range(CONNECTIONS)]
        await asyncio.sleep(before)
        burnt = burning.destroy(town, folder / "outside")
        (folder / "outside" / "sandbox").rename(other / "sandbox")
        promoted = await asyncio.to_thread(RunningTown, other, program=PROMOTE)
        await asyncio.sleep(after)
        load.over = True
        await asyncio.wait_for(asyncio.gather(*clients), 60)
        return await _count(promoted, load.ledger, resident, burnt, synchronous=synchronous)
    finally:
        for one in clients:
            one.cancel()
        town.stop()
        if promoted is not None:
            promoted.stop()
        if standby is not None:
            standby.stop()


async def _count(
    town: RunningTown, ledger: ClientLedger, resident: people.SignedIn, burnt: float, *, synchronous: bool
) -> dict[str, Any]:
    query = "SELECT id FROM applications WHERE filed_by = $1"
    here = {str(one) for one in await town.rows("procedures", query, UUID(resident.person_id))}
    acknowledged = ledger.applications
    lost = [at for one, at in acknowledged.items() if one not in here]
    # An answer that was in the client's socket when the box burnt is no answer of the standby.
    first = min((at for one, at in acknowledged.items() if ledger.sent[one] > burnt), default=None)
    return {
        "name": f"site_loss.{'synchronous' if synchronous else 'asynchronous'}",
        "acknowledged": len(acknowledged),
        "before": sum(at <= burnt for at in acknowledged.values()),
        "lost": len(lost),
        "duplicated": len(here - set(acknowledged)),
        "rpo_s": round(max((burnt - at for at in lost), default=0.0), 3),
        "rto_s": None if first is None else round(first - burnt, 1),
    }


def verdict(row: dict[str, Any]) -> list[str]:
    """What is wrong with a row; nothing, when the bounds hold."""
    wrong = []
    if row["lost"] and "asynchronous" not in row["name"]:
        wrong.append(f"{row['name']}: {row['lost']} acknowledged and lost")
    if row["duplicated"]:
        wrong.append(f"{row['name']}: {row['duplicated']} made twice")
    if row["rpo_s"] > LONGEST_RPO:
        wrong.append(f"{row['name']}: {row['rpo_s']} s lost")
    if row["rto_s"] is None or row["rto_s"] > LONGEST_RTO:
        wrong.append(f"{row['name']}: not back in time")
    return wrong


def main() -> int:
    """Both fires; 1 when a bound does not hold."""
    rows = []
    for synchronous in (True, False):
        with testing.directory() as place:
            rows.append(asyncio.run(run(place.parent, synchronous=synchronous)))
    burning.show("Site loss", rows)
    wrong = [one for row in rows for one in verdict(row)]
    for one in wrong:
        print(one, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
