"""Checking the chain: the first record that was edited, deleted, swapped or cut off is named.

What the chain alone cannot show is that its end was cut off; a head kept outside (:mod:`town_kit.audit.anchor`) or in
a published batch shows it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from town_kit.audit.chain import GENESIS, link_hash, record_hash
from town_kit.audit.record import COLUMNS
from town_kit.db.engine import Database

PAGE = 5_000
_PAGE = f"""SELECT c.seq, c.record_id AS id, c.record_hash, c.hash, r.id IS NOT NULL AS present,
  {", ".join("r." + name for name in COLUMNS if name != "id")}
FROM audit_chain c LEFT JOIN audit_records r ON r.id = c.record_id
WHERE c.seq > $1 ORDER BY c.seq LIMIT $2"""  # noqa: S608 - constants
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


def check(rows: Iterable[Mapping[str, Any]], so_far: Verdict, anchors: Mapping[int, bytes]) -> Verdict:
    """Go on from ``so_far`` over links in order, each with the record it stands for."""
    seq, previous, checked = so_far.head.seq, so_far.head.hash, so_far.checked
    for row in rows:
        reason = _fault(row, seq + 1, previous, anchors)
        if reason is not None:
            return Verdict(checked, Head(seq, previous), seq + 1, reason)
        seq, previous = row["seq"], bytes(row["hash"])
        checked += 1
    return Verdict(checked, Head(seq, previous))


def _fault(row: Mapping[str, Any], seq: int, previous: bytes, anchors: Mapping[int, bytes]) -> str | None:
    if row["seq"] != seq:
        return "gap"
    if not row["present"]:
        return "record-missing"
    of_record = record_hash(row)
    if of_record != row["record_hash"]:
        return "record-changed"
    if link_hash(previous, seq, of_record) != row["hash"]:
        return "link-changed"
    if anchors.get(seq, row["hash"]) != row["hash"]:
        return "anchor-differs"
    return None


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
    page = await read_page(database, 0)
    while page:
        following = asyncio.create_task(read_page(database, page[-1]["seq"]))  # read while this one is checked
        verdict = await asyncio.to_thread(check, page, verdict, known)
        page = await following
        if verdict.first_bad is not None:
            return verdict
    async with database.begin() as session:
        connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        unchained = await connection.fetchval(_UNCHAINED)
    return replace(finish(verdict, known), unchained=unchained)


async def read_page(database: Database, after: int) -> list[Mapping[str, Any]]:
    """The next links behind ``after``, at most 5,000, each with the record it stands for."""
    async with database.begin() as session:
        connection: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        rows: list[Mapping[str, Any]] = await connection.fetch(_PAGE, after, PAGE)
        return rows
