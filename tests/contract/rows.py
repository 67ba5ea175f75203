"""Rows for a table of which only a few columns matter: the others get some value of their type."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.contract.matrix import BLOB, ID, OWNER, SEALED, Thing

from town_kit.clock import SystemClock, japan_date
from town_kit.ids import new_id

_COLUMNS = text(
    """SELECT column_name AS name, udt_name AS type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = :table AND column_default IS NULL AND is_identity = 'NO'
          AND is_nullable = 'NO'"""
)
_TYPES = text(
    """SELECT column_name AS name, udt_name AS type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = :table"""
)
_PARENTS = text(
    """SELECT a.attname AS column, p.relname AS parent FROM pg_constraint c
         JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid
         JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND t.relname = :table AND array_length(c.conkey, 1) = 1"""
)
Seal = Callable[[UUID], bytes]
PURPOSES = {"purpose": "auth"}


async def make(session: AsyncSession, thing: Thing, *, owner: UUID, seal: Seal, blob: UUID | None) -> UUID:
    """Put a thing of ``owner`` into the database; its id.

    ``seal`` makes what its service can open, ``blob`` is one of its blobs.
    """
    thing_id = new_id() if any(values.get("id") == ID for _, values in thing.rows) else owner
    for table, values in thing.rows:
        await _row(session, table, {name: _filled(v, owner, thing_id, seal, blob) for name, v in values.items()})
    return thing_id


def _filled(value: Any, owner: UUID, thing_id: UUID, seal: Seal, blob: UUID | None) -> Any:
    now = SystemClock().now()
    if isinstance(value, dict):
        return {name: _filled(inner, owner, thing_id, seal, blob) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, owner, thing_id, seal, blob) for inner in value]
    if value == SEALED:
        return seal(thing_id)
    words = {OWNER: owner, BLOB: blob, ID: thing_id, "now": now, "today": japan_date(now)}
    return words.get(value, value) if isinstance(value, str) else value


async def _row(session: AsyncSession, table: str, given: Mapping[str, Any]) -> Any:
    values = dict(given)
    parents = {row.column: row.parent for row in await session.execute(_PARENTS, {"table": table})}
    for row in (await session.execute(_COLUMNS, {"table": table})).all():
        if row.name in values:
            continue
        parent = parents.get(row.name)
        values[row.name] = await _row(session, parent, {}) if parent else _some(row.name, row.type)
    types = {row.name: row.type for row in await session.execute(_TYPES, {"table": table})}
    places = ", ".join(f"cast(:{name} AS {types[name]})" for name in values)
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places}) ON CONFLICT (id) DO NOTHING"
    await session.execute(text(statement), {name: _plain(value, types[name]) for name, value in values.items()})
    return values.get("id")


def _some(name: str, kind: str) -> Any:
    now = SystemClock().now()
    if kind == "timestamptz":
        return now + timedelta(hours=1) if name.endswith(("until", "expires_at")) else now
    made = {"uuid": new_id(), "int4": 0, "int8": 0, "bool": False, "jsonb": {}, "bytea": new_id().bytes * 2}
    return PURPOSES.get(name, made.get(kind, f"{name}-{new_id()}"))


def _plain(value: Any, kind: str) -> Any:
    if kind == "jsonb":
        return json.dumps(value, default=str)
    if kind == "text" and isinstance(value, UUID):
        return str(value)
    return value.encode() if kind == "bytea" and isinstance(value, str) else value
