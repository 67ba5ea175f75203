"""`make run ONCE=1` in both modes: one real application reaches every counterpart, and the exit code says so."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from town_kit.messaging.kafka_node import missing
from town_onebox import town as onebox
from town_onebox.journey.hops import HOPS

SECONDS = 240

pytestmark = [pytest.mark.journey, pytest.mark.timeout(SECONDS + 60), pytest.mark.xdist_group("whole-town")]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that PostgreSQL's user can walk to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="town-journey-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder / "town"
    onebox.reset(folder / "town")
    shutil.rmtree(folder)


def run(directory: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "town_onebox", "run", "--directory", str(directory), "--once", *options],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def log_of(directory: Path) -> str:
    return "".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted((directory / "logs").glob("*.log")))


def test_every_hop_answers_on_one_box_and_again_on_the_second_run(directory: Path) -> None:
    for _ in range(2):
        done = run(directory)
        assert done.returncode == 0, done.stdout + done.stderr + log_of(directory)
        assert done.stdout.count("✓") == len(HOPS)
    text = log_of(directory) + (directory / "postgres" / "postgres.log").read_text()
    assert not re.search(r"123456789018|9990000000(16|24|32)|能登", text), "a person's data stands in a log"


@pytest.mark.kafka
def test_every_hop_answers_on_apache_kafka_with_topic_partition_and_offset(directory: Path) -> None:
    if missing() and os.environ.get("CI") != "true":
        pytest.skip(missing() or "")
    done = run(directory, "--mode", "distributed")
    assert done.returncode == 0, done.stdout + done.stderr + log_of(directory)
    assert re.search(r"procedures\.applications\[\d\]@\d+  town\.procedures\.application\.approved\.v1", done.stdout)


def test_the_town_names_the_hop_that_did_not_answer(directory: Path) -> None:
    """The connector is told a wrong password of the portal, so that nothing is ever fetched."""
    directory.mkdir()
    (directory / "town.yaml").write_text("connector: {portal_password: wrong}\n")
    done = run(directory)
    assert done.returncode == 1
    assert "the journey ended at hop 2: fetched" in done.stdout
