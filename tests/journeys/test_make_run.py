"""`make run ONCE=1` over Apache Kafka, where every hop answers, and with a hop that does not."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from town_kit.messaging.kafka_node import LIBS, missing
from town_kit.testing.kafka import absent, jars_folder
from town_onebox import testing
from town_onebox.journey.hops import HOPS
from town_onebox.testing import journey, logs

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300), pytest.mark.xdist_group("journey")]

# What must be seen on its way, hop by hop.
EVENTS = (
    "gateway.portal-poll.requested",
    "procedures.application.submitted",
    "procedures.application.accepted",
    "procedures.application.numbered",
    "standardization.record.prepared",
    "standardization.record.acknowledged",
    "standardization.record.decided",
    "procedures.application.approved",
    "procedures.application.completed",
    "notifications.message.queued",
    "notifications.message.delivered",
)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for a town of the test's own."""
    with testing.directory() as place:
        yield place


@pytest.mark.kafka
def test_every_hop_answers_on_apache_kafka_with_topic_partition_and_offset(directory: Path) -> None:
    lack = missing()
    if lack and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        absent(lack)
    done = journey(directory, "--mode", "distributed", environment={LIBS: str(jars_folder())})
    assert done.returncode == 0, done.stdout + done.stderr + logs(directory)
    assert done.stdout.count("✓") == len(HOPS)
    for event in EVENTS:
        assert re.search(rf"[a-z.-]+\[\d+\]@\d+  town\.{re.escape(event)}\.v1", done.stdout), event


def test_the_town_names_the_hop_that_did_not_answer(directory: Path) -> None:
    """The connector is told a wrong password of the portal, so that nothing is ever fetched."""
    directory.mkdir()
    (directory / "town.yaml").write_text("connector: {portal_password: wrong}\n")
    done = journey(directory)
    assert done.returncode == 1
    assert "the journey ended at hop 2: fetched" in done.stdout
