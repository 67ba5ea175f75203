"""`make faults SEEDED=1`: five broken towns, and whether the fault run finds each.

Before them a town without a mistake is tried the same way, with every fault that is used here: what is found in a
broken one counts only where nothing is found in that one.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults.report import COUNTERS, OTHERS
from tests.faults.seeded.builds import BUILDS, SOUND, Build, make

from town_kit.messaging.kafka_node import LIBS
from town_kit.testing.kafka import jars_folder

ROOT = Path(__file__).parents[3]
_FAILURE = re.compile(r"^[\w.]*(Error|Refused|Failure|stopped)\b")
AT_MOST_SECONDS = 480.0
TIMES = 2
PATIENCE_SECONDS = {False: 20.0, True: 120.0}  # what is lost never comes, so waiting for quiet is of no use
LOST_OR_DOUBLED = ("lost", "duplicated")
ANY_WRONG = [name for name in (*COUNTERS, *OTHERS) if name != "repeated"]
TRIES = 2  # of a run that did not come to its count


def main() -> int:
    """Try every build; 1 when one was not found."""
    every = (SOUND, *BUILDS)
    names = [build.name for build in every]
    parser = argparse.ArgumentParser(prog="make faults SEEDED=1", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of: {', '.join(names)}")
    parser.add_argument("--transport", choices=("pglog", "kafka"), default="pglog")
    chosen = parser.parse_args()
    wanted = [name.strip() for name in chosen.only.split(",") if name.strip()] or names
    if unknown := set(wanted) - set(names):
        parser.error(f"there is no build {', '.join(sorted(unknown))}")
    found = [tried(build, chosen.transport) for build in every if build.name in wanted]
    return int(not all(found))


def tried(build: Build, transport: str) -> bool:
    """Whether the fault run tells of a build what is true: a mistake, or that there is none. Prints it."""
    began = time.monotonic()
    for _ in range(TRIES):
        total, said = counted(build, transport)
        if total:
            break
    sound = build is SOUND
    found = {name: total[name] for name in (ANY_WRONG if sound else LOST_OR_DOUBLED) if total.get(name)}
    right = bool(total) and bool(found) is not sound
    verdict = "COULD NOT RUN" if not total else "found" if found else "NOT FOUND"
    if sound and total:
        verdict = "WRONG" if found else "sound"
    numbers = ", ".join(f"{name} {number}" for name, number in found.items()) or ("nothing" if total else said)
    acked = f" of {total['acknowledged']} acknowledged" if total else ""
    took = time.monotonic() - began
    print(f"{verdict:13} {build.name:13} {numbers}{acked} ({took:.0f} s): {build.mistake}", flush=True)
    return right


def counted(build: Build, transport: str) -> tuple[dict[str, Any], str]:
    """The totals of a fault run over a build; without any, the last thing it said."""
    with tempfile.TemporaryDirectory(prefix="town-seeded-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        make(build, ROOT, tree)
        command = [sys.executable, "-m", "tests.faults", "--transport", transport, "--json"]
        command += ["--only", ",".join(build.faults or ("load",)), "--seconds", str(build.seconds)]
        command += ["--rate", str(build.rate), "--times", str(TIMES)]
        command += ["--patience", str(PATIENCE_SECONDS[build is SOUND])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources(tree)), LIBS: str(jars_folder())}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"  # each tree is used once
        running = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            out, err = running.communicate(timeout=AT_MOST_SECONDS)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)  # it takes its town along
            out, err = running.communicate()
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    said = next((line for line in reversed(err.splitlines()) if _FAILURE.match(line)), err.strip()[-300:])
    return next((row for row in rows if row["name"] == "total"), {}), f"the run failed ({running.returncode}): {said}"


def sources(tree: Path) -> list[str]:
    """The folders from which the town is imported instead of the installed one."""
    return [str(tree), *map(str, sorted(tree.glob("**/src")))]


if __name__ == "__main__":
    sys.exit(main())
