"""Checking the chain: the first record that was edited, deleted, swapped or cut off is named.

What the chain alone cannot show is that its end was cut off; a head kept outside (:mod:`town_kit.audit.anchor`) or in
a published batch shows it.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from town_kit.audit.chain import CANONICAL_SQL, GENESIS, link_hash, microseconds
from town_kit.db.engine import Database

PAGE = 5_000
AHEAD = 2  # pages that are read at once; a pool has two connections
_PAGE = f"""SELECT c.seq, {CANONICAL_SQL} AS canonical, c.record_hash, c.hash,
  CASE WHEN c.chained_at BETWEEN '1970-01-01Z' AND '9999-01-01Z' THEN c.chained_at END AS chained_at
FROM audit_chain c LEFT JOIN audit_records r ON r.id = c.record_id
WHERE c.seq > $1 ORDER BY c.seq LIMIT $2"""  # noqa: S608 - constants
_ALONE = "SET LOCAL max_parallel_workers_per_gather = 0"  # two more processes for a page cost more than the page
_UNCHAINED = """SELECT count(*) FROM audit_records r
WHERE r.at < now() - interval '1 minute' AND NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.record_id = r.id)"""


@dataclass(frozen=True, slots=True)
class Head:
    """A link as somebody outside remembers it."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        checked: links that hold, from the first on.
        head: the last of them.
        first_bad: the sequence number of the first link that does not hold.
        reason: ``gap``, ``record-missing``, ``record-changed``, ``link-changed``, ``truncated``, ``anchor-differs``.
        unchained: records older than a minute that are not in the chain.
    """

    checked: int = 0
    head: Head = Head(0, GENESIS)
    first_bad: int | None = None
    reason: str | None = None
    unchained: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.first_bad is None and self.unchained == 0


Read = tuple[int, str | None, bytes, bytes, datetime | None]
"""A link as it is read: its number, the canonical form of its record (None: there is none), the hash of the record,
the hash of the link, and when it was chained (None: at a time no clock of ours has shown)."""


def check(rows: Iterable[Read], so_far: Verdict, anchors: Mapping[int, bytes]) -> Verdict:
    """Go on from ``so_far`` over links in order, each with the record it stands for."""
    seq, previous, first = so_far.head.seq, so_far.head.hash, so_far.head.seq
    chained_at, stamp = None, 0
    for number, canonical, of_record, digest, at in rows:
        if at is not None and at != chained_at:  # one batch has one time
            chained_at, stamp = at, microseconds(at)
        if number != seq + 1:
            reason = "gap"
        elif canonical is None:
            reason = "record-missing"
        elif sha256(canonical.encode()).digest() != of_record:
            reason = "record-changed"
        elif at is None or link_hash(previous, number, stamp, of_record) != digest:
            reason = "link-changed"
        elif number in anchors and anchors[number] != digest:
            reason = "anchor-differs"
        else:
            seq, previous = number, digest
            continue
        return Verdict(so_far.checked + seq - first, Head(seq, previous), seq + 1, reason)
    return Verdict(so_far.checked + seq - first, Head(seq, previous))


def finish(verdict: Verdict, anchors: Mapping[int, bytes]) -> Verdict:
    """The last question: does an anchor know of links that are not there?"""
    beyond = [seq for seq in anchors if seq > verdict.head.seq]
    if verdict.first_bad is None and beyond:
        return replace(verdict, first_bad=verdict.head.seq + 1, reason="truncated")
    return verdict


async def verify(database: Database, anchors: Iterable[Head] = ()) -> Verdict:
    """Check the whole chain of a service's database against its records and the heads kept outside."""
    known = {anchor.seq: anchor.hash for anchor in anchors}
    verdict = Verdict()
    ahead = deque(asyncio.create_task(read_page(database, page * PAGE)) for page in range(AHEAD))
    try:
        while verdict.first_bad is None:
            page = await ahead.popleft()
            # No number is left out: where the next page begins is known, so it is read while this one is checked.
            behind = verdict.head.seq + AHEAD * PAGE
            ahead.append(asyncio.create_task(read_page(database, behind)))
            verdict = await asyncio.to_thread(check, page, verdict, known)
            if len(page) < PAGE:
                break
    finally:
        for reading in ahead:
            reading.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
    if verdict.first_bad is not None:
        return verdict
    async with database.begin() as session:
        connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        unchained = await connection.fetchval(_UNCHAINED)
    return replace(finish(verdict, known), unchained=unchained)


async def read_page(database: Database, after: int) -> list[Read]:
    """The next links behind ``after``, at most 5,000, each with the record it stands for."""
    async with database.begin() as session:
        connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        await connection.execute(_ALONE)
        rows: list[Read] = await connection.fetch(_PAGE, after, PAGE)
        return rows
