"""Counting what was filed at the portal (ぴったりサービス): one application, and every status once and in order.

What the portal took is a promise as much as an answer of the town is: its receipt stands in the client's ledger, and
what the town told the portal of it stands in the sandbox's own file.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from tests.faults.findings import Finding, Kind
from tests.faults.ledger import Book, Outcome

from town_notifications.templates import kinds
from town_onebox.testing import RunningTown

AT_PORTAL = "portal"
DONE = "completed"
# 受領, 受付, 承認, 完了, as the sandbox's profile numbers them.
CODES = ["10", "20", "60", "90"]
_ROWS = """SELECT a.receipt_no, array_agg(DISTINCT a.id), array_agg(DISTINCT a.state),
    array_agg(t.to_state ORDER BY t.sequence)
FROM applications a JOIN application_transitions t ON t.application_id = a.id
WHERE a.channel = 'mynaportal' GROUP BY a.receipt_no"""
_MESSAGES = "SELECT application_id, kind, count(*) FROM messages WHERE application_id IS NOT NULL GROUP BY 1, 2"


def receipts(book: Book) -> dict[str, int]:
    """受付番号 → number of the flow, of everything the portal took."""
    operations = [one for one in book.operations.values() if one.kind == AT_PORTAL and one.outcome is Outcome.ACKED]
    return {one.application: one.flow for one in operations if one.application is not None}


async def count_portal(town: RunningTown, filed: Mapping[str, int]) -> list[Finding]:
    """What is wrong with the applications of these receipts."""
    rows: dict[str, Any] = {row[0]: row[1:] for row in await town.rows("procedures", _ROWS)}
    found = [
        Finding(Kind.PHANTOM, 0, f"an application of {receipt}, which nobody filed")
        for receipt in rows.keys() - filed.keys()
    ]
    messages: dict[UUID, Counter[str]] = defaultdict(Counter)
    for application, kind, times in await town.rows("notifications", _MESSAGES):
        messages[application][kind] += times
    told = _statuses(town)
    for receipt, flow in filed.items():
        if receipt not in rows:
            found.append(Finding(Kind.LOST, flow, f"{receipt} of the portal"))
            continue
        ids, states, moves = rows[receipt]
        found += _application(flow, ids, states, moves, messages)
        found += _told(flow, told[receipt])
    repeats = town.ledger("mynaportal", "status_repeated")
    found += [Finding(Kind.REPEATED, filed.get(e["receipt_no"], 0), "a status of the portal") for e in repeats]
    conflicts = town.ledger("mynaportal", "status_conflict")
    found += [Finding(Kind.DUPLICATED, filed.get(e["receipt_no"], 0), "a status with other content") for e in conflicts]
    return found


def _application(
    flow: int, ids: list[UUID], states: list[str], moves: list[str], messages: Mapping[UUID, Counter[str]]
) -> Iterator[Finding]:
    if len(ids) > 1:
        yield Finding(Kind.DUPLICATED, flow, f"{len(ids)} applications of one receipt")
        return
    if states != [DONE]:
        yield Finding(Kind.LOST, flow, f"{ids[0]} is {states[0]}, not {DONE}")
    for move, times in Counter(moves).items():
        if times > 1:
            yield Finding(Kind.DUPLICATED, flow, f"{move} {times} times in the timeline")
    for kind in [f"application.{move}" for move in moves]:
        if kind not in kinds() or not kinds()[kind].notify:
            continue
        times = messages[ids[0]][kind]
        if times != 1:
            yield Finding(Kind.DUPLICATED if times else Kind.LOST, flow, f"{kind} {times} times among the messages")


def _statuses(town: RunningTown) -> dict[str, list[dict[str, Any]]]:
    """What the portal was told of each receipt, in the order of arrival."""
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in town.ledger("mynaportal", "status"):
        told[entry["receipt_no"]].append(entry)
    return told


def _told(flow: int, told: list[dict[str, Any]]) -> Iterator[Finding]:
    codes = Counter(entry["code"] for entry in told)
    for code in CODES:
        if not codes[code]:
            yield Finding(Kind.LOST, flow, f"status {code} at the portal")
        elif codes[code] > 1:
            yield Finding(Kind.DUPLICATED, flow, f"status {code} {codes[code]} times at the portal")
    for code in codes.keys() - set(CODES):
        yield Finding(Kind.PHANTOM, flow, f"status {code} at the portal")
    if any(entry["late"] for entry in told):
        yield Finding(Kind.OUT_OF_ORDER, flow, "a status came to the portal after a later one")
