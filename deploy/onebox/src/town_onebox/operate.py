"""Commands of one service with the settings it has on this box, for whoever runs the town.

``python -m town_onebox service procedures dead-letters list`` is ``town-procedures dead-letters list`` with the
settings that procedures has in that town.
"""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from town_kit.db.server import HOST
from town_onebox import secrets
from town_onebox.assembly import Process, Town
from town_onebox.place import Place
from town_onebox.registry import BY_NAME
from town_onebox.town import overrides


def run(directory: Path, name: str, arguments: Sequence[str]) -> None:
    """Run a command of the service ``name``; ends the process with its exit code.

    Raises:
        ValueError: there is no such service, or no town in ``directory``.
    """
    if name not in BY_NAME:
        raise ValueError(f"{name} というサービスはありません。あるのは {'、'.join(BY_NAME)} です。")
    place, entry = Place(directory.resolve()), BY_NAME[name]
    port = place.postgres / "postgres.port"
    if not port.exists():
        raise ValueError(f"{directory} に町がありません。--directory を確かめてください。")
    town = Town(
        place=place,
        secrets=secrets.read(place),
        server=(HOST, int(port.read_text())),
        public_url=f"http://{HOST}",
        vault_url="",
        sandbox=(place.sandbox / "addresses.json").exists(),
        overrides=overrides(place),
    )
    os.environ.update(town.environment_of(entry, Process.WORKER))
    module, _, command = entry.command.partition(":")
    getattr(import_module(module), command)(list(arguments), prog_name=f"town-{name}")
