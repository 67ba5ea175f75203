"""Every migration goes up and down, and what the models say is what the tables are."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import SchemaItem

from town_gateway.base import GatewayBase
from town_identity.base import Base as IdentityBase
from town_kit.db import migrations
from town_kit.db.tables import GRANTS
from town_kit.testing import PostgresServer
from town_kit.testing.postgres import in_thread
from town_notifications.base import Base as NotificationsBase
from town_onebox.registry import ENTRIES, Entry
from town_procedures.base import Base as ProceduresBase
from town_standardization.base import Base as StandardizationBase

MODELS: dict[str, MetaData] = {
    "identity": IdentityBase.metadata,
    "procedures": ProceduresBase.metadata,
    "standardization": StandardizationBase.metadata,
    "notifications": NotificationsBase.metadata,
    "gateway": GatewayBase.metadata,
    "connector": MetaData(),
}
# Tables without a model, because no code loads a row of theirs as an object.
KIT_TABLES = dict.fromkeys(GRANTS, "the kit's own: made by town_kit.db.tables, written and read by its SQL")
PLAIN_TABLES = {
    "identity": {},
    "procedures": {
        "person_links": "which person became which: written and read by statements of applications alone",
        "receipt_counters": "one statement of applications.numbering counts in it",
        "queue_counts": "one statement of work_queue.counting keeps it",
    },
    "standardization": {"taken_before_restore": "filled by a restore, asked by records.repository"},
    "notifications": {
        "person_links": "which person became which: recipients.consumers writes it, a join reads it",
        "sent_before_restore": "filled by a restore, asked by deliveries.repository",
    },
    "gateway": {"rate_limits": "counted by one statement of town_gateway.rate_limit"},
    "connector": {
        "portals": "the cursor of a portal: all of the connector's rows are worked on by statements over many",
        "portal_applications": "as above",
        "portal_statuses": "as above",
    },
}
# Nothing makes tables from models, so that these stand in the migration alone, beside the query they serve.
SAID_BY_MIGRATIONS = {
    "remove_index": "an index serves a query, and is partial or ordered as that query wants",
    "remove_constraint": "uniqueness is told by the name of the constraint that an INSERT runs into",
    "remove_fk": "rows are added in the order of the code, which needs no relationship",
}
Difference = tuple[Any, ...]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_migrations_go_up_and_down_and_up_again(postgres_server: PostgresServer, entry: Entry) -> None:
    urls = postgres_server.create_database(f"migrations_{entry.name}")
    in_thread(migrations.upgrade, urls.owner_url, entry.migrations)
    in_thread(migrations.downgrade, urls.owner_url, entry.migrations)
    in_thread(migrations.upgrade, urls.owner_url, entry.migrations)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
async def test_the_models_say_what_the_tables_are(postgres_server: PostgresServer, entry: Entry) -> None:
    urls = await asyncio.to_thread(postgres_server.create_database, entry.name, entry.migrations)
    assert [describe(one) for one in await differences(urls.owner_url, entry.name, MODELS[entry.name])] == []


async def test_a_model_that_says_otherwise_is_seen(postgres_server: PostgresServer) -> None:
    entry = next(entry for entry in ENTRIES if entry.name == "gateway")
    urls = await asyncio.to_thread(postgres_server.create_database, entry.name, entry.migrations)
    wrong = MetaData()
    for table in MODELS[entry.name].tables.values():
        table.to_metadata(wrong)
    portals = wrong.tables["portals"]
    portals.c.name.type = Integer()
    portals.c.version.nullable = True
    portals.append_column(Column("colour", Integer))
    Table("forgotten", wrong, Column("id", Integer, primary_key=True))
    found = {describe(one) for one in await differences(urls.owner_url, entry.name, wrong)}
    assert found == {
        "modify_type portals.name",
        "modify_nullable portals.version",
        "add_column portals.colour",
        "add_table forgotten",
    }


async def differences(url: str, service: str, models: MetaData) -> list[Difference]:
    """What alembic would have to change, but for what the models leave to the migrations."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(_compare, models, KIT_TABLES.keys() | PLAIN_TABLES[service].keys())
    finally:
        await engine.dispose()
    return [one for one in _flat(found) if one[0] not in SAID_BY_MIGRATIONS]


def _compare(connection: Connection, models: MetaData, plain: set[str]) -> list[Any]:
    def has_a_model(_: SchemaItem, name: str | None, kind: str, *_more: Any) -> bool:
        return kind != "table" or name not in plain

    options = {"compare_type": True, "include_object": has_a_model}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), models))


def _flat(found: list[Any]) -> Iterator[Difference]:
    """Alembic answers the changes of one column as a list of its own."""
    for one in found:
        yield from one if isinstance(one, list) else [one]


def describe(one: Difference) -> str:
    """Such as ``add_column portals.colour``."""
    match one:
        case (kind, Table() as table, *_):
            return f"{kind} {table.name}"
        case (kind, _, table, Column() as column):
            return f"{kind} {table}.{column.name}"
        case (kind, _, table, str() as column, *_):
            return f"{kind} {table}.{column}"
    return repr(one)
