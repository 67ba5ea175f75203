"""One zone per machine: the services of the zone answer on ports of their own, and nothing else runs."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from town_onebox import town as onebox

SECONDS = 90
LGWAN_ALONE = ("--zones", "LGWAN", "--environment", "development")

pytestmark = [pytest.mark.journey, pytest.mark.timeout(SECONDS + 60)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that PostgreSQL's user can walk to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="town-zone-", dir="/var/tmp"))
    folder.chmod(0o755)
    (folder / "town").mkdir()
    yield folder / "town"
    onebox.reset(folder / "town")
    shutil.rmtree(folder)


def test_lgwan_alone_serves_its_services_and_holds_no_database_of_another_zone(directory: Path) -> None:
    (directory / "town.yaml").write_text(
        "town: {public_url: 'https://town.example'}\n"
        "identity: {revocation_lists: /nonexistent}\n"
        "connector: {profile: sandbox, portal_url: 'http://127.0.0.1:9', portal_login_id: x, portal_password: y}\n"
    )
    with (directory.parent / "out").open("w") as output:
        serving = subprocess.Popen(
            [sys.executable, "-m", "town_onebox", "serve", "--directory", str(directory), *LGWAN_ALONE],
            stdout=output,
            stderr=output,
        )
    try:
        answers = wait_for(directory, serving, "identity", "/.well-known/jwks.json")
        assert answers.json()["keys"]
        assert wait_for(directory, serving, "procedures", "/v1/procedures").json()
        ports = json.loads((directory / "ports.json").read_text())
        assert "public" not in ports
        told = (directory.parent / "out").read_text()
        assert "tables of procedures" in told
        assert "tables of notifications" not in told
        assert "tables of standardization" not in told
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == 0


def wait_for(directory: Path, serving: "subprocess.Popen[bytes]", service: str, path: str) -> httpx.Response:
    give_up = time.monotonic() + SECONDS
    while time.monotonic() < give_up and serving.poll() is None:
        try:
            port = json.loads((directory / "ports.json").read_text())[service]
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5)
            if answer.is_success:
                return answer
        except (OSError, KeyError, ValueError, httpx.HTTPError):
            pass
        time.sleep(0.2)
    out = (directory.parent / "out").read_text()
    logs = "".join(path.read_text()[-2000:] for path in (directory / "logs").glob("*.log"))
    pytest.fail(f"{service} does not answer\n{out}\n{logs}")
