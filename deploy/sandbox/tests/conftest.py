"""The whole sandbox as a process of its own, started once for the tests that talk to it."""

import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from town_sandbox.configuration import Credentials

TRUST = ssl.create_default_context()  # made once: httpx would read all authorities again for each client


@dataclass
class Running:
    """A sandbox that serves."""

    directory: Path
    addresses: dict[str, str]
    process: "subprocess.Popen[str]"

    @property
    def credentials(self) -> Credentials:
        return Credentials.model_validate_json((self.directory / "credentials.json").read_bytes())

    def client(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=self.addresses[name], trust_env=False, timeout=10, verify=TRUST)

    def received(self, name: str, **wanted: str) -> list[dict[str, Any]]:
        with self.client(name) as client:
            return list(client.get("/_received", params=wanted).json()["entries"])

    def configure(self, **config: Any) -> None:
        path = self.directory / "config.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | config))


def start(directory: Path) -> Running:
    command = [sys.executable, "-m", "town_sandbox", "serve", "--directory", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return Running(directory, json.loads(process.stdout.readline()), process)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.process.terminate()
    assert running.process.wait(20) == 0


@pytest.fixture(scope="module")
def start_sandbox() -> Iterator[Callable[[Path], Running]]:
    """Start further sandboxes; all are gone at the end of the module."""
    started: list[Running] = []

    def starting(directory: Path) -> Running:
        started.append(start(directory))
        return started[-1]

    yield starting
    for running in started:
        running.process.kill()
        running.process.wait(10)
