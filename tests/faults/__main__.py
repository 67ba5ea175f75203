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

import httpx
from rich.console import Console
from tests.faults import machine, report
from tests.faults.counting import OUTSIDE_REACHED, Town, count, quiet
from tests.faults.injections import FAULTS, Fault
from tests.faults.report import FAILED, STEADY, Row
from tests.faults.sweep import SWEEP
from tests.faults.town import Ground, loaded, standing
from tests.faults.windows import Window, recovery, steady

from town_kit.db.server_files import NoServer
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.kafka_node import NoKafka
from town_kit.messaging.pglog import PgLog
from town_kit.messaging.transport import Transport
from town_kit.settings import Zone
from town_onebox import secrets
from town_onebox.assembly import LOG_DATABASES
from town_onebox.journey import people

ALL = (*FAULTS, *SWEEP)
SWEPT = "failpoints"
TRANSPORTS = ("pglog", "kafka")
RATE = 28.0
WARM_UP_SECONDS = 12.0
RECOVERY_SECONDS = {False: 45.0, True: 120.0}
QUIET_SECONDS = {False: 5.0, True: 60.0}
QUIET_WITHIN = 520.0  # a delivery whose sender died is tried again after seven minutes
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
    chosen.only = {name.strip() for name in chosen.only.split(",") if name.strip()} or set(names)
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
        await _reachable(ground)
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
                except (TimeoutError, AssertionError, RuntimeError, OSError) as failure:
                    skipped[fault.name] = f"{FAILED}: {failure}"
                    tell(transport, f"{fault.name} {fault.title}: could not be injected: {failure}")
            await asyncio.sleep(chosen.seconds)
        tell(transport, "waiting for quiet")
        left = await quiet(
            _town(ground),
            partial(tell, transport),
            seconds=QUIET_SECONDS[chosen.long],
            within=chosen.patience,
            patient=chosen.long,
        )
        tell(transport, "counting")
        findings = await count(_town(ground), ground.book.read(), left)
        titles = {fault.name: fault.title for fault in faults}
        return report.rows(transport, titles, windows, skipped, ground.book, findings)


async def _usual(ground: Ground) -> float:
    """The 99th percentile without a fault, once the first operations have warmed everything up."""
    while not ground.book.read().operations:
        await asyncio.sleep(0.2)
    await asyncio.sleep(WARM_UP_SECONDS / 2)
    return await steady(ground.book, WARM_UP_SECONDS / 2)


async def _inject(ground: Ground, fault: Fault, number: int, usual: float) -> Window:
    began = time.monotonic()
    await fault.inject(ground, number)
    window = Window(fault.name, began, time.monotonic())
    await recovery(ground.book, window, usual, at_least=fault.rest, within=RECOVERY_SECONDS[ground.long])
    first, normal = (
        f"{seconds:.1f} s" if seconds is not None else "not yet" for seconds in (window.first_success, window.normal)
    )
    tell(
        ground.transport,
        f"{fault.name} {fault.title}, {number + 1}: held {window.over - began:.1f} s, answers {first}, normal {normal}",
    )
    return window


async def _reachable(ground: Ground) -> None:
    """One of the residents has a device and a mail address, so that the outside world hears of her applications."""
    town = ground.town.town
    outside = town.sandbox_addresses()
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        own = await people.resident(town, client, OUTSIDE_REACHED)
        await people.can_be_reached(
            client, own, device="fault-device", address="faults@example.jp", mailbox=outside["smtp_control"]
        )


def _town(ground: Ground) -> Town:
    """Where the count looks; the log is read past the proxies where that is possible."""
    passwords = {**ground.town.town.secrets.databases, **secrets.read_vault(ground.town.place).databases}

    def log_of(zone: Zone) -> Transport:
        if ground.broker is not None:
            return KafkaLog(ground.broker.bootstrap)
        name = LOG_DATABASES[zone]
        host, port = ground.town.town.server
        return PgLog(f"postgresql://{name}_app:{passwords[name].app}@{host}:{port}/{name}")

    return Town(ground.town, log_of)


def tell(transport: str, what: str) -> None:
    """Progress, with the time."""
    progress.print(f"{time.strftime('%H:%M:%S')}  {transport:5}  {what}", style="dim", soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Run what was chosen; 1 when anything was lost, doubled, out of order, stuck or not recorded."""
    chosen = parsed(arguments)
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
    if chosen.json:
        for row in (*found, everything):
            print(row.json(), flush=True)
    else:
        report.show([*found, everything])
    for line in report.details(found):
        progress.print(line)
    return int(any(row.wrong for row in (*found, everything)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
