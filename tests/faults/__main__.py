"""`make faults`: a town under load is killed, cut and starved, and then everything is counted.

``python -m tests.faults --transport kafka --only load,F3 --seconds 60 --json``
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from tests.faults import machine, report
from tests.faults.counting import count, quiet
from tests.faults.injections import FAULTS, Fault
from tests.faults.processes import ready, until
from tests.faults.report import FAILED, STEADY, Row
from tests.faults.sweep import SWEEP
from tests.faults.town import Ground, loaded, looked_into, reachable, standing
from tests.faults.windows import Window, recovery, steady

from town_kit.db.server_files import NoServer
from town_kit.messaging.kafka_node import NoKafka
from town_onebox.registry import ENTRIES

ALL = (*FAULTS, *SWEEP)
LAST_EVENT = "SELECT coalesce(max(seq), 0) FROM outbox"
UNDELIVERED = "SELECT count(*) FROM outbox WHERE published_at IS NULL AND seq <= $1"
SWEPT = "failpoints"
TRANSPORTS = ("pglog", "kafka")
RATE = 28.0
WARM_UP_SECONDS = 12.0
RECOVERY_SECONDS = {False: 45.0, True: 120.0}
QUIET_SECONDS = {False: 5.0, True: 60.0}
QUIET_WITHIN = 520.0  # a delivery whose sender died is tried again after seven minutes
READY_SECONDS = 90.0
ACKNOWLEDGED_AT_LEAST = 20_000  # of a whole run; what is less proves too little
progress = Console(stderr=True, highlight=False)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The choices of whoever runs it."""
    names = [STEADY, SWEPT, *(fault.name for fault in ALL)]
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of: {', '.join(names)}")
    parser.add_argument("--transport", choices=TRANSPORTS, action="append", help="both by default")
    parser.add_argument("--seconds", type=float, default=0.0, help="steady load after the faults")
    parser.add_argument("--rate", type=float, default=RATE, help="operations a second")
    parser.add_argument(
        "--long", action="store_true", default=os.environ.get("LONG") == "1", help="counts of a release"
    )
    parser.add_argument("--json", action="store_true", default=os.environ.get("JSON") == "1", help="one object a line")
    parser.add_argument("--times", type=int, default=0, help="injections of each fault, whatever is usual for it")
    parser.add_argument("--patience", type=float, default=QUIET_WITHIN, help="seconds to wait for quiet at the end")
    parser.add_argument("--keep", action="store_true", help="leave the town's directory where it is")
    chosen = parser.parse_args(arguments)
    chosen.only = {name.strip() for name in chosen.only.split(",") if name.strip()}
    chosen.whole = not chosen.only and not chosen.transport
    chosen.only = chosen.only or set(names)
    if SWEPT in chosen.only:
        chosen.only |= {fault.name for fault in SWEEP}
    for name in tuple(chosen.only):  # F8 stands for F8-database and its like
        chosen.only |= {fault.name for fault in ALL if fault.name.startswith(f"{name}-")}
    if unknown := chosen.only - {*names, *(name.partition("-")[0] for name in names)}:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return chosen


async def run(chosen: argparse.Namespace, transport: str) -> list[Row]:
    """One town on one transport: load, every chosen fault, and the count."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)  # nothing of it is left behind
    faults = [fault for fault in ALL if fault.name in chosen.only]
    disks = "F9" in chosen.only and machine.no_small_disk() is None
    windows: list[Window] = []
    async with standing(transport, long=chosen.long, keep=chosen.keep, disks=disks) as ground:
        tell(transport, "the town stands; everybody signs in")
        for name in [entry.name for entry in ENTRIES if entry.serves]:  # only two doors were waited for until here
            await ready(ground, name, READY_SECONDS)
        await reachable(ground)
        skipped = {fault.name: reason for fault in faults if (reason := fault.lacks(ground)) is not None}
        async with loaded(ground, chosen.rate):
            usual = await _usual(ground)
            tell(transport, f"p99 without a fault {usual * 1000:.0f} ms")
            for fault in faults:
                if fault.name in skipped:
                    tell(transport, f"{fault.name} {fault.title}: NOT RUN: {skipped[fault.name]}")
                    continue
                times = chosen.times or (fault.long_times if chosen.long else fault.times)
                try:
                    for number in range(times):
                        windows.append(await _inject(ground, fault, number, usual))  # noqa: PERF401 - kept one by one
                except Exception as failure:  # it is red; the others go on, and everything is counted
                    skipped[fault.name] = f"{FAILED}: {type(failure).__name__}: {failure}"
                    tell(transport, f"{fault.name} {fault.title}: could not be injected: {failure}")
            await asyncio.sleep(chosen.seconds)
        tell(transport, "waiting for quiet")
        left = await quiet(
            looked_into(ground),
            partial(tell, transport),
            seconds=QUIET_SECONDS[chosen.long],
            within=chosen.patience,
            patient=chosen.long,
        )
        tell(transport, "counting")
        findings = await count(looked_into(ground), ground.book.read(), left)
        titles = {fault.name: fault.title for fault in faults}
        return report.rows(transport, titles, windows, skipped, ground.book, findings)


async def _usual(ground: Ground) -> float:
    """The 99th percentile without a fault, once the first operations have warmed everything up.

    Raises:
        RuntimeError: nothing was acknowledged.
    """
    await until(lambda: any(ground.book.read().acknowledged()), "the town acknowledged nothing", READY_SECONDS)
    await asyncio.sleep(WARM_UP_SECONDS / 2)
    return await steady(ground.book, WARM_UP_SECONDS / 2)


async def _inject(ground: Ground, fault: Fault, number: int, usual: float) -> Window:
    began = time.monotonic()
    await fault.inject(ground, number)
    window = Window(fault.name, began, time.monotonic())
    await asyncio.gather(
        recovery(ground.book, window, usual, at_least=fault.rest, within=RECOVERY_SECONDS[ground.long]),
        _delivered(ground, fault, window),
    )
    if fault.answers_within is not None and not (window.first_success or 0.0) <= fault.answers_within:
        window.late = f"first answer after {window.first_success:.1f} s, not {fault.answers_within:.0f} s"
    first, normal = (
        f"{seconds:.1f} s" if seconds is not None else "not yet" for seconds in (window.first_success, window.normal)
    )
    tell(
        ground.transport,
        f"{fault.name} {fault.title}, {number + 1}: held {window.over - began:.1f} s, answers {first}, normal {normal}",
    )
    return window


async def _delivered(ground: Ground, fault: Fault, window: Window) -> None:
    """Wait until every event that was written before the fault was over is in the log, and note how long that took."""
    if fault.delivered_within is None:
        return
    databases = [entry.name for entry in ENTRIES]
    last = {name: await ground.town.rows(name, LAST_EVENT) for name in databases}
    give_up = window.over + fault.delivered_within
    while any([await ground.town.rows(name, UNDELIVERED, *last[name]) != [0] for name in databases]):
        if time.monotonic() > give_up:
            window.late = f"not everything was in the log again after {fault.delivered_within:.0f} s"
            return
        await asyncio.sleep(0.2)
    window.delivered = time.monotonic() - window.over


def tell(transport: str, what: str) -> None:
    """Progress, with the time."""
    progress.print(f"{time.strftime('%H:%M:%S')}  {transport:5}  {what}", style="dim", soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Run what was chosen; 1 when anything was lost, doubled, out of order, stuck or not recorded."""
    chosen = parsed(arguments)
    began = time.monotonic()
    found: list[Row] = []
    for transport in chosen.transport or TRANSPORTS:
        try:
            found += asyncio.run(run(chosen, transport))
        except (NoServer, NoKafka) as failure:
            progress.print(str(failure))
            return 2
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.print("stopped; nothing was counted")
            return 130
    everything = report.total(found)
    if chosen.whole and everything.acknowledged < ACKNOWLEDGED_AT_LEAST:
        everything.skipped = f"{FAILED}: fewer than {ACKNOWLEDGED_AT_LEAST:,} were acknowledged"
    if chosen.json:
        for row in (*found, everything):
            print(row.json(), flush=True)
    else:
        report.show([*found, everything])
    for line in report.details(found):
        progress.print(line)
    progress.print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    not_run = [row.name for row in found if row.skipped] if chosen.whole else []
    if not_run:
        progress.print(f"a whole run leaves nothing out: {', '.join(not_run)} NOT RUN")
    return int(any(row.wrong for row in (*found, everything)) or bool(not_run))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
