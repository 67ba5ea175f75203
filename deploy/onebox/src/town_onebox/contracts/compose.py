"""The services, composed only to be described: nothing is connected, nothing is started."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from town_kit.db.server_files import Account
from town_kit.service import Service
from town_onebox import clients, sandbox, secrets
from town_onebox.assembly import Process, Town
from town_onebox.place import Place
from town_onebox.registry import ENTRIES
from town_sandbox.main import NAMES

NOWHERE = "http://127.0.0.1:9"


@contextmanager
def services() -> Iterator[dict[str, Service]]:
    """Every service with settings of a town that is thrown away afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        town = Town(
            place=place,
            secrets=secrets.prepare(place),
            server=("127.0.0.1", 9),
            public_url=NOWHERE,
            vault_url=NOWHERE,
            sandbox=True,
            started_at=time.time() - 3600,
        )
        secrets.prepare_vault(place, Account(None, os.geteuid(), os.getegid()))
        sandbox.prepare(place)
        clients.write(place, sandbox=True)
        addresses = {**dict.fromkeys(NAMES, NOWHERE), "smtp": "smtp://127.0.0.1:9"}
        (place.sandbox / "addresses.json").write_text(json.dumps(addresses))
        yield {entry.name: town.service(entry.name, Process.WEB) for entry in ENTRIES}
