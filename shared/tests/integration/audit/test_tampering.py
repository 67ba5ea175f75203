"""Random tampering with records and chain, as a superuser would: all of it is found, at the first bad record."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from town_kit.audit import record
from town_kit.audit.chain import (
    GENESIS,
    canonical_record,
    chain_pending,
    link_hash,
    links,
    microseconds,
    record_hash,
)
from town_kit.audit.record import COLUMNS
from town_kit.audit.verify import Head, Read, Verdict, check, finish, verify
from town_kit.clock import FixedClock
from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.ids import new_id

RECORDS = 40
TAMPERINGS = 3_000
IN_THE_DATABASE = 60
NOON = datetime(2027, 1, 4, 3, tzinfo=UTC)
Row = dict[str, Any]


def audit_rows(count: int) -> list[Row]:
    return [
        record.audit_row(
            action="application.accept", basis="行政手続法7条", purpose=f"児童手当 {number}", principal=None,
            subjects=[new_id()], fields=["state"], result="done", at=NOON + timedelta(seconds=number), trace_id=None,
        )
        for number in range(count)
    ]  # fmt: skip


def chained(rows: list[Row]) -> list[Row]:
    """Rows as the verifier reads them: with their links."""
    made = links(rows, after_seq=0, after_hash=GENESIS, at=NOON)
    return [
        row | {"seq": link.seq, "record_hash": link.record_hash, "hash": link.hash, "chained_at": NOON, "present": True}
        for row, link in zip(rows, made, strict=True)
    ]


def as_read(rows: list[Row]) -> list[Read]:
    return [
        (
            row["seq"],
            canonical_record(row).decode() if row["present"] else None,
            row["record_hash"],
            row["hash"],
            row["chained_at"],
        )
        for row in rows
    ]


def another(value: Any, dice: random.Random) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, datetime):
        return value + timedelta(microseconds=dice.choice([-1, 1, 10**6]))
    if isinstance(value, list):
        return [*value, value[0]] if dice.random() < 0.5 else value[1:]
    if isinstance(value, bytes):
        place = dice.randrange(len(value))
        return value[:place] + bytes([value[place] ^ (1 << dice.randrange(8))]) + value[place + 1 :]
    if isinstance(value, str):
        return value + dice.choice([" ", "0", "\u3000"])
    return new_id() if value is None or hasattr(value, "bytes") else value + 1


def edit(rows: list[Row], dice: random.Random) -> int:
    at, column = dice.randrange(len(rows)), dice.choice(COLUMNS)
    value = rows[at][column]
    rows[at] = rows[at] | {column: "x" if value is None and column != "principal" else another(value, dice)}
    return at + 1


def edit_link(rows: list[Row], dice: random.Random) -> int:
    at, column = dice.randrange(len(rows)), dice.choice(["hash", "record_hash", "chained_at"])
    rows[at] = rows[at] | {column: another(rows[at][column], dice)}
    return at + 1


def delete_record(rows: list[Row], dice: random.Random) -> int:
    at = dice.randrange(len(rows))
    rows[at] = rows[at] | {"present": False}
    return at + 1


def delete_link(rows: list[Row], dice: random.Random) -> int:
    at = dice.randrange(len(rows) - 1)
    del rows[at]
    return at + 1


def truncate(rows: list[Row], dice: random.Random) -> int:
    at = dice.randrange(len(rows))
    del rows[at:]
    return at + 1


def swap(rows: list[Row], dice: random.Random) -> int:
    first, second = sorted(dice.sample(range(len(rows)), 2))
    rows[first], rows[second] = rows[second] | {"seq": first + 1}, rows[first] | {"seq": second + 1}
    return first + 1


def swap_records(rows: list[Row], dice: random.Random) -> int:
    first, second = sorted(dice.sample(range(len(rows)), 2))
    one, two = ({name: rows[at][name] for name in COLUMNS} for at in (first, second))
    rows[first], rows[second] = rows[first] | two, rows[second] | one
    return first + 1


def insert(rows: list[Row], dice: random.Random) -> int:
    """A forged record with a good link; what follows keeps its links and moves on by one."""
    at = dice.randrange(len(rows))
    forged = audit_rows(1)[0]
    previous = rows[at - 1]["hash"] if at else GENESIS
    of_record = record_hash(forged)
    digest = link_hash(previous, at + 1, microseconds(NOON), of_record)
    link = {"seq": at + 1, "record_hash": of_record, "hash": digest, "chained_at": NOON, "present": True}
    rows[at:] = [forged | link, *(row | {"seq": row["seq"] + 1} for row in rows[at:])]
    return at + 1 if at + 1 in ANCHORED else at + 2


def edit_and_chain_anew(rows: list[Row], dice: random.Random) -> int:
    """Everything after the edit is linked anew: only a head kept outside shows it."""
    at = dice.randrange(len(rows))
    rows[at] = rows[at] | {"result": "refused:not-found"}
    rows[:] = chained([{name: row[name] for name in COLUMNS} for row in rows])
    return next(seq for seq in ANCHORED if seq > at)


ANCHORED = (10, 25, RECORDS)
WAYS: Mapping[str, Callable[[list[Row], random.Random], int]] = {
    way.__name__: way
    for way in (
        edit, edit_link, delete_record, delete_link, truncate, swap, swap_records, insert, edit_and_chain_anew,
    )
}  # fmt: skip


@pytest.mark.case("D-41")
def test_every_random_tampering_is_found_at_its_first_bad_record() -> None:
    dice = random.Random(41)
    good = chained(audit_rows(RECORDS))
    anchors = {seq: good[seq - 1]["hash"] for seq in ANCHORED}
    assert finish(check(as_read(good), Verdict(), anchors), anchors).holds
    missed = []
    for number in range(TAMPERINGS):
        rows = list(good)
        name = dice.choice(list(WAYS))
        expected = WAYS[name](rows, dice)
        verdict = finish(check(as_read(rows), Verdict(), anchors), anchors)
        if verdict.first_bad != expected:
            missed.append((number, name, expected, verdict.first_bad))
    assert missed == []


ANY = "(SELECT record_id FROM audit_chain WHERE seq = {})"
STATEMENTS = (
    ("UPDATE audit_records SET purpose = purpose || ' ' WHERE id = " + ANY, 0),
    ("UPDATE audit_records SET at = at + interval '1 microsecond' WHERE id = " + ANY, 0),
    ("UPDATE audit_records SET subjects = '{{}}' WHERE id = " + ANY, 0),
    ("UPDATE audit_records SET principal = id WHERE id = " + ANY, 0),
    # a form that leaves something out would be the same for these
    ("UPDATE audit_records SET at = (replace(at::text, '+00', '') || ' BC')::timestamptz WHERE id = " + ANY, 0),
    ("UPDATE audit_records SET fields = ARRAY['state', NULL] WHERE id = " + ANY, 0),
    ("UPDATE audit_records SET client_id = 'null' WHERE id = " + ANY, 0),
    ("DELETE FROM audit_records WHERE id = " + ANY, 0),
    ("DELETE FROM audit_chain WHERE seq = {}", 0),
    ("DELETE FROM audit_chain WHERE seq > {}", 1),
    ("UPDATE audit_chain SET chained_at = chained_at + interval '1 hour' WHERE seq = {}", 0),
    ("UPDATE audit_chain SET chained_at = chained_at + interval '1 hour' WHERE seq >= {}", 0),
    ("UPDATE audit_chain SET chained_at = 'infinity' WHERE seq = {}", 0),
    ("UPDATE audit_chain SET hash = sha256(hash) WHERE seq = {}", 0),
    ("UPDATE audit_chain SET record_hash = sha256(hash) WHERE seq = {}", 0),
)


@pytest.mark.case("D-41")
async def test_what_a_superuser_changes_in_the_database_is_named(
    own_database: Database, own_urls: DatabaseUrls, postgres_server: Any
) -> None:
    async with own_database.begin() as session:
        await record.insert(session, audit_rows(RECORDS))
    await chain_pending(own_database, "procedures", FixedClock(NOON))
    superuser = await asyncpg.connect(postgres_server.admin_dsn, database=own_urls.name)
    dice = random.Random(7)
    try:
        head = await superuser.fetchrow("SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1")
        anchor = Head(head["seq"], head["hash"])
        await superuser.execute("CREATE TABLE kept_records AS TABLE audit_records")
        await superuser.execute("CREATE TABLE kept_chain AS TABLE audit_chain")
        for number in range(IN_THE_DATABASE):
            statement, further = STATEMENTS[number % len(STATEMENTS)]
            at = dice.randrange(1, RECORDS)
            await superuser.execute(statement.format(at))
            verdict = await verify(own_database, [anchor])
            assert verdict.first_bad == at + further, statement
            await superuser.execute(
                "TRUNCATE audit_records, audit_chain; INSERT INTO audit_records TABLE kept_records;"
                " INSERT INTO audit_chain TABLE kept_chain"
            )
            assert (await verify(own_database, [anchor])).holds
    finally:
        await superuser.close()
