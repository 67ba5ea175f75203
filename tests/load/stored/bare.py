"""Tables without their indexes and constraints while they are filled, and the way back.

What is put back is what stood there, word for word as PostgreSQL says it; it checks every row when it is put back. What
cannot be taken away (NOT NULL, CHECK, row security) holds while the rows go in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

_CONSTRAINTS = """SELECT c.conrelid::regclass::text AS on_table, quote_ident(c.conname) AS name,
  c.contype = 'f' AS points, pg_get_constraintdef(c.oid) AS definition
FROM pg_constraint c WHERE c.contype IN ('p', 'u', 'f') AND c.conrelid = ANY ($1::regclass[])
ORDER BY c.contype <> 'f', c.conname"""
_INDEXES = """SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i WHERE i.indrelid = ANY ($1::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))"""
_OUTSIDE = """SELECT DISTINCT c.conrelid::regclass::text FROM pg_constraint c
WHERE c.contype = 'f' AND c.confrelid = ANY ($1::regclass[])"""


@dataclass(frozen=True)
class Taken:
    """Statements that put back what was taken away: first all indexes, in any order, then the foreign keys."""

    indexes: Sequence[str]
    foreign_keys: Sequence[str]


async def take(owner: asyncpg.Connection, tables: Sequence[str]) -> Taken:
    """Take the indexes and constraints of tables away; foreign keys that point at them as well."""
    pointing = [row[0] for row in await owner.fetch(_OUTSIDE, list(tables))]
    every = await owner.fetch(_CONSTRAINTS, sorted({*tables, *pointing}))
    constraints = [row for row in every if row["on_table"] in tables or row["points"]]
    indexes = await owner.fetch(_INDEXES, list(tables))
    async with owner.transaction():
        for row in constraints:  # foreign keys come first, because they lean on the keys of others
            await owner.execute(f"ALTER TABLE {row['on_table']} DROP CONSTRAINT {row['name']}")
        for row in indexes:
            await owner.execute(f"DROP INDEX {row['name']}")
    again = [
        (row["points"], f"ALTER TABLE {row['on_table']} ADD CONSTRAINT {row['name']} {row['definition']}")
        for row in constraints
    ]
    return Taken(
        [*(statement for points, statement in again if not points), *(row["definition"] for row in indexes)],
        [statement for points, statement in again if points],
    )
