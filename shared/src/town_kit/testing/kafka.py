"""Apache Kafka for tests: `KAFKA_BOOTSTRAP_SERVERS`, else a node started here; in CI a missing one is a failure."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from town_kit.messaging.kafka_node import DEPLOY, LIBS, KafkaNode, NoKafka, missing

JARS = DEPLOY.parents[1] / ".town" / "kafka" / "libs"


def jars_folder() -> Path:
    """Where the jars are kept between runs: ``TOWN_KAFKA_LIBS``, else ``.town/kafka/libs``."""
    return Path(os.environ.get(LIBS, JARS))


def absent(reason: str) -> None:
    """A skip with its reason; in CI a failure."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(f"CI needs Apache Kafka: {reason}")
    pytest.skip(f"no Apache Kafka: {reason}")


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker, shared by the tests of this process; each test uses topics of its own."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    node = start_node(tmp_path_factory.mktemp("kafka"))
    yield node.bootstrap
    node.stop()


@pytest.fixture
def kafka_node(tmp_path: Path) -> Iterator[KafkaNode]:
    """A broker of the test's own, to kill and to wipe."""
    node = start_node(tmp_path)
    yield node
    node.stop()


def start_node(directory: Path, **options: Any) -> KafkaNode:
    """Start a node, or skip the test (in CI: fail it) where that cannot be done."""
    lack = missing()
    if lack:
        absent(lack)
    try:
        return KafkaNode(directory, jars_folder(), **options).start()
    except NoKafka as error:
        absent(str(error))
        raise
