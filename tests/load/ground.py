"""What the benchmarks of the event logs stand on: a durable PostgreSQL, a service's tables, and both logs."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from town_kit.db import migrations, provision, server
from town_kit.db.provision import DatabaseUrls
from town_kit.messaging import pglog
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.kafka_node import KafkaNode, NoKafka
from town_kit.messaging.transport import Transport
from town_kit.testing.kafka import jars_folder
from town_procedures.main import MIGRATIONS

KIT_TABLES = "0001"
TABLES = """CREATE TABLE things (id uuid PRIMARY KEY, version int NOT NULL, event_sequence bigint NOT NULL);
CREATE TABLE effects (event_id uuid PRIMARY KEY, key uuid NOT NULL, sequence bigint NOT NULL);
GRANT SELECT, INSERT, UPDATE ON things, effects TO "{app}" """


@dataclass(frozen=True)
class Ground:
    """Addresses: the service's database, and each log that could be started."""

    urls: DatabaseUrls
    logs: dict[str, str]


async def empty(on: Ground) -> None:
    """Forget what was measured before: another log would be taken for one that lost everything."""
    owner = await asyncpg.connect(on.urls.owner_dsn)
    await owner.execute("TRUNCATE outbox, inbox, parked_events, dead_letters, things, effects")
    await owner.close()


def connect(kind: str, address: str) -> Transport:
    """The log of that kind."""
    return KafkaLog(address) if kind == "kafka" else pglog.PgLog(address)


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Start what is needed and remove it afterwards; without Apache Kafka its figures are left out, and it says why."""
    folder = Path(tempfile.mkdtemp(prefix="town-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = await asyncio.to_thread(server.start, folder / "postgres")
    node = await asyncio.to_thread(_kafka, folder / "kafka")
    try:
        urls = await provision.database(running.admin_dsn, "bench", owner_password="bench", app_password="bench")
        log = await provision.database(running.admin_dsn, "events", owner_password="bench", app_password="bench")
        await asyncio.to_thread(migrations.upgrade, urls.owner_url, MIGRATIONS, KIT_TABLES)
        await pglog.install(log.owner_dsn)
        owner = await asyncpg.connect(urls.owner_dsn)
        await owner.execute(TABLES.format(app=f"{urls.name}_app"))
        await owner.close()
        logs = {"pglog": log.app_dsn}
        if isinstance(node, KafkaNode):
            logs["kafka"] = node.bootstrap
        elif node is not None:
            logs["kafka"] = node
        yield Ground(urls, logs)
    finally:
        if isinstance(node, KafkaNode):
            node.stop()
        await asyncio.to_thread(running.stop)
        shutil.rmtree(folder, ignore_errors=True)


def _kafka(directory: Path) -> KafkaNode | str | None:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        return given
    try:
        return KafkaNode(directory, jars_folder()).start()
    except NoKafka as error:
        print(f"without Apache Kafka: {error}", file=sys.stderr)
        return None
