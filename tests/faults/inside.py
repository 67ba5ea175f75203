"""The distributed town of a fault run, as a program: ``python -m tests.faults.inside <directory>``.

What the harness decided beforehand stands in ``<directory>.json`` (:class:`Detours`): every connection between a
service and PostgreSQL, the log or another service leads through a proxy of the harness.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console

from town_kit.settings import Zone
from town_onebox import distributed
from town_onebox.assembly import Process, Town
from town_onebox.choices import Choices
from town_onebox.distributed import Arrangement
from town_onebox.registry import ENTRIES
from town_onebox.supervisor import Part, end_with_parent

LONGEST_PAUSE = 0.5  # one process is killed again and again here, which is not its own fault


@dataclass(frozen=True)
class Detours:
    """Where the processes of a fault run find one another.

    Attributes:
        transport: kafka or pglog.
        broker: the proxy before the broker; empty with pglog.
        database: service → port of the proxy before PostgreSQL.
        log: service → port of the proxy before the log in PostgreSQL; empty with kafka.
        service: service → port of the proxy before it.
        extra: folder of ``<part>.env``, read when a part starts: settings of one process for a while.
    """

    transport: str
    broker: str
    database: Mapping[str, int]
    log: Mapping[str, int]
    service: Mapping[str, int]
    extra: str

    def apply(self, town: Town) -> Town:
        """The town whose processes take the detours."""
        urls = {name: f"http://127.0.0.1:{port}" for name, port in self.service.items()}
        around = replace(town, service_urls={**town.service_urls, **urls})
        overrides = {entry.name: dict(town.overrides.get(entry.name, {})) for entry in ENTRIES}
        addresses = replace(around, sandbox=False)  # the outside world does not run yet, and is not asked
        for entry in ENTRIES:
            values = addresses.values(entry, Process.OWN)
            overrides[entry.name]["database_url"] = by_port(values["database_url"], self.database[entry.name])
            if self.transport == "pglog":
                found: Mapping[Zone, Any] = values["log_urls"]
                overrides[entry.name]["log_urls"] = {
                    zone: by_port(url, self.log[entry.name]) for zone, url in found.items()
                }
        return replace(around, overrides=overrides)

    def part(self, part: Part) -> Part:
        """A part that takes what stands in its own ``.env`` into its environment when it starts."""
        body = part.body
        if body is None:
            return part
        file = Path(self.extra) / f"{part.name}.env"

        def start() -> int | None:
            if file.exists():
                lines = (line.partition("=") for line in file.read_text().splitlines())
                os.environ.update({name: value for name, _, value in lines})
            return body()

        return replace(part, body=start)


def by_port(url: str | SecretStr, port: int) -> str:
    """The same address on another port of this machine."""
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    return re.sub(r"@127\.0\.0\.1:\d+/", f"@127.0.0.1:{port}/", text)


def main(directory: Path) -> int:
    """Serve the town until a signal."""
    end_with_parent()
    detours = Detours(**json.loads(directory.with_suffix(".json").read_text()))
    if detours.broker:
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = detours.broker
    arranged = Arrangement(detours.transport, detours.apply, detours.part, LONGEST_PAUSE)
    return distributed.run(Choices(directory), Console(stderr=True, quiet=True), arranged=arranged)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
