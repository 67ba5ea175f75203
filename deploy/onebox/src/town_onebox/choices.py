"""What whoever starts the town decides (起動のしかた), kept beside the data for a restart or a promotion."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from town_kit.settings import Zone
from town_onebox.place import Place

WEB_PROCESSES = 2
MOST_WEB_PROCESSES = 8  # ten connections each, of the 120 that the town's PostgreSQL has
LOOPBACK = "127.0.0.1"
DEVELOPMENT, PRODUCTION = "development", "production"


@dataclass(frozen=True)
class Choices:
    """What whoever starts the town decides.

    Attributes:
        directory: where everything is kept.
        zones: which zones run here.
        host: the address the gateway listens on.
        sandbox: bring the outside world along.
        environment: development or production.
        web_processes: how many processes answer requests.
    """

    directory: Path
    zones: frozenset[Zone] = frozenset(Zone)
    host: str = LOOPBACK
    sandbox: bool = True
    environment: str = DEVELOPMENT
    web_processes: int = WEB_PROCESSES


def chosen(
    directory: Path,
    *,
    zones: Iterable[Zone] | None = None,
    host: str | None = None,
    sandbox: bool | None = None,
    environment: str | None = None,
    web_processes: int | None = None,
) -> Choices:
    """What was given, else as the town was served last, else a production town of all zones (which is refused)."""
    path = Place(directory.resolve()).served
    last = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Choices(
        directory,
        frozenset(zones or map(Zone, last.get("zones", Zone))),
        host or last.get("host", LOOPBACK),
        last.get("sandbox", False) if sandbox is None else sandbox,
        environment or last.get("environment", PRODUCTION),
        web_processes or last.get("web_processes", WEB_PROCESSES),
    )


def keep(choices: Choices) -> None:
    """Write down how the town is served, as a whole file or none."""
    path = Place(choices.directory.resolve()).served
    told = {
        "zones": sorted(choices.zones),
        "host": choices.host,
        "sandbox": choices.sandbox,
        "environment": choices.environment,
        "web_processes": choices.web_processes,
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(told, indent=2), encoding="utf-8")
    fresh.replace(path)


def refuse_unsafe(choices: Choices) -> None:
    """Raises ``ValueError`` for what a production profile must not do."""
    if choices.environment != PRODUCTION:
        last = chosen(choices.directory)
        if last.environment == PRODUCTION and Place(choices.directory.resolve()).served.exists():
            raise ValueError(
                f"{choices.directory} は本番の町です。試験(make run、--environment development)には使えません。"
                "別の --directory を示してください。"
            )
        return
    if {Zone.INTERNET, Zone.LGWAN} <= choices.zones:
        raise ValueError(
            "本番では、インターネット系(INTERNET)と LGWAN 系(LGWAN)を 1 台で動かしません。"
            "ゾーンごとの機械で --zones INTERNET、--zones LGWAN、--zones MY_NUMBER のどれかを付けてください。"
            "試験と訓練は --environment development --sandbox です。"
        )
    if choices.sandbox:
        raise ValueError("本番に模擬の外部(--sandbox)はありません。本物の相手を town.yaml に書いてください。")
