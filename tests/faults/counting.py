"""Counting (計数): the client's ledger against the owner's rows, the log, and what reached the outside world.

Metrics are never asked. What went outside is counted in the sandbox's own files, which are on disk before the town is
told that something arrived.
"""

import asyncio
import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.faults.counting_outside import count_core_system, count_outside
from tests.faults.counting_portal import AT_PORTAL, count_portal, receipts
from tests.faults.findings import WHOLE_RUN, Finding, Kind, in_order
from tests.faults.flows import STATES, TOLD, Flow, compare
from tests.faults.ledger import Book, Outcome
from tests.faults.load import digest_of, remarks

from town_kit.audit.verify import Head, verify
from town_kit.db import server
from town_kit.db.engine import Database
from town_kit.ids import new_id
from town_kit.messaging.event import Envelope, Undecodable, decode
from town_kit.messaging.topics import zones
from town_kit.messaging.transport import Incoming, Transport
from town_kit.settings import Zone
from town_onebox.registry import ENTRIES
from town_onebox.testing import RunningTown

TOPIC = "procedures.applications"
_FLOW = re.compile(r"(\d+)")
LEFT = {
    "outbox": "SELECT count(*) FROM outbox WHERE published_at IS NULL",
    "parked events": "SELECT count(*) FROM parked_events",
    "dead letters": "SELECT count(*) FROM dead_letters WHERE settled_at IS NULL",
    "audit records without a link": """SELECT count(*) FROM audit_pending p JOIN audit_records r ON r.id = p.record_id
        WHERE r.at < now() - interval '5 seconds'""",  # the core systems ask all the time, and are recorded
}
LEFT_OF = {
    "procedures": {"applications without a number": "SELECT count(*) FROM applications WHERE receipt_serial IS NULL"},
    "notifications": {"deliveries": "SELECT count(*) FROM deliveries WHERE state IN ('queued', 'sending')"},
    "connector": {
        "applications of the portal": "SELECT count(*) FROM portal_applications WHERE confirmed_at IS NULL",
        "statuses": "SELECT count(*) FROM portal_statuses WHERE settled_at IS NULL",
    },
    "standardization": {
        "hand-overs": "SELECT count(*) FROM hand_overs WHERE state IN ('waiting', 'held')",
        "records nobody took": "SELECT count(*) FROM records WHERE acknowledged_at IS NULL",
    },
}
_TOLD = """SELECT coalesce(sum(sequence), 0)::bigint FROM (SELECT max(sequence) AS sequence FROM outbox
    WHERE topic = 'procedures.applications' GROUP BY key) AS last"""
_BEHIND = """SELECT consumer, ($1 - sum(sequence))::bigint FROM inbox WHERE topic = 'procedures.applications'
    GROUP BY consumer HAVING sum(sequence) < $1"""
_ROWS = "SELECT id, reference, answers FROM applications WHERE channel <> 'mynaportal'"
_MOVES = "SELECT application_id, array_agg(to_state ORDER BY sequence) FROM application_transitions GROUP BY 1"
_MESSAGES = """SELECT application_id, array_agg(kind ORDER BY position) FROM messages
WHERE application_id IS NOT NULL GROUP BY 1"""
_OUTBOX = "SELECT topic, key, sequence, event_id, data FROM outbox"
_TRACES = "SELECT key, type, split_part(traceparent, '-', 2) FROM outbox WHERE topic = 'procedures.applications'"
_END_CLAIMS = """UPDATE deliveries SET next_attempt_at = now()
WHERE state = 'sending' AND next_attempt_at BETWEEN now() AND now() + interval '6 minutes 30 seconds'"""
_AUDITED = "SELECT action, trace_id, count(*) FROM audit_records WHERE result = 'done' GROUP BY 1, 2"


@dataclass
class Town:
    """Where the count looks: the town's databases and the sandbox's files, and the log by zone."""

    running: RunningTown
    log_of: Callable[[Zone], Transport]


async def quiet(
    town: Town, tell: Callable[[str], None], *, seconds: float, within: float, patient: bool
) -> dict[str, int]:
    """Wait until nothing has been under way for ``seconds``, and tell what is; what still was after ``within``.

    Unless it is patient, the claims of senders that were killed are ended at once, as seven minutes would end them.
    """
    give_up, since = time.monotonic() + within, None
    told: dict[str, int] = {}
    while True:
        if not patient:
            await town.running.rows("notifications", _END_CLAIMS)
        left = await under_way(town)
        now = time.monotonic()
        if left != told:
            tell(f"under way: {', '.join(f'{what} {number}' for what, number in left.items()) or 'nothing'}")
            told = left
        since = None if left else since or now
        if (since is not None and now - since >= seconds) or now > give_up:
            return left
        await asyncio.sleep(1.0)


async def under_way(town: Town) -> dict[str, int]:
    """What is not finished, by place and kind; nothing when all is quiet."""
    (told,) = await town.running.rows("procedures", _TOLD)
    found = {}
    for entry in ENTRIES:
        for consumer, behind in await town.running.rows(entry.name, _BEHIND, told):
            found[f"{consumer}: events"] = behind
        for name, query in {**LEFT, **LEFT_OF.get(entry.name, {})}.items():
            (count,) = await town.running.rows(entry.name, query)
            if count:
                found[f"{entry.name}: {name}"] = count
    return found


async def count(town: Town, book: Book, left: Mapping[str, int]) -> list[Finding]:
    """Everything that is wrong or repeated, after ``quiet`` told what was ``left``."""
    flows: dict[int, Flow] = {}
    for operation in book.operations.values():
        if operation.kind == AT_PORTAL:
            continue
        flows.setdefault(operation.flow, Flow(operation.flow, [])).operations.append(operation)
    found = [Finding(Kind.STUCK, WHOLE_RUN, f"{what}: {number}") for what, number in left.items()]
    found += await _owner(town, flows)
    by_id = {application: flow for flow in flows.values() for application in flow.ids}
    found += await _moves(town, flows, by_id)
    found += await _messages(town, flows)
    found += count_outside(town.running, flows)
    found += await count_core_system(town.running, flows)
    found += await _log(town, by_id)
    found += await count_portal(town.running, receipts(book))
    found += await _audited(town, by_id)
    found += await _chains(town)
    return found


async def _owner(town: Town, flows: Mapping[int, Flow]) -> list[Finding]:
    """One row for each acknowledged application, with the content that was sent; none for a refused one."""
    found = []
    for application, reference, stored in await town.running.rows("procedures", _ROWS):
        answers = json.loads(stored)
        number = int(_FLOW.findall(answers["remarks"])[0])
        flow = flows.get(number)
        if flow is None or answers["remarks"] != remarks(number):
            found.append(Finding(Kind.PHANTOM, WHOLE_RUN, f"application {application} nobody asked for"))
            continue
        flow.ids.append(application)
        flow.references.append(reference)
        if digest_of(answers) != flow.operations[0].digest:
            found.append(Finding(Kind.ALTERED, number, f"the answers of {application}"))
    for flow in flows.values():
        submitted = flow.operations[0]
        if len(flow.ids) > 1:
            found.append(Finding(Kind.DUPLICATED, flow.number, f"{len(flow.ids)} applications of one submission"))
        if submitted.outcome is Outcome.ACKED and submitted.application not in {str(one) for one in flow.ids}:
            found.append(Finding(Kind.LOST, flow.number, f"application {submitted.application}"))
        if submitted.outcome is Outcome.REFUSED and flow.ids:
            found.append(Finding(Kind.PHANTOM, flow.number, "a refused submission is there"))
        found += [
            Finding(Kind.UNRESOLVED, flow.number, f"{one.kind} has no definite answer ({one.status})")
            for one in flow.operations
            if one.outcome is Outcome.UNKNOWN
        ]
    return found


async def _moves(town: Town, flows: Mapping[int, Flow], by_id: Mapping[UUID, Flow]) -> list[Finding]:
    """Each acknowledged move once, in the order in which it was asked."""
    found: list[Finding] = []
    rows: dict[int, list[str]] = {
        by_id[key].number: list(states) for key, states in await town.running.rows("procedures", _MOVES) if key in by_id
    }
    for flow in flows.values():
        found += compare(flow, flow.states, rows.get(flow.number, []), "the timeline", flow.open_state)
    return found


async def _messages(town: Town, flows: Mapping[int, Flow]) -> list[Finding]:
    """One message for each move that is told, in the order of the moves."""
    rows = dict(await town.running.rows("notifications", _MESSAGES))
    found: list[Finding] = []
    for flow in flows.values():
        seen = [kind for application in flow.ids for kind in rows.get(application, [])]
        wanted = [TOLD[state] for state in flow.states if state in TOLD]
        found += compare(flow, wanted, seen, "notifications' messages", TOLD.get(flow.open_state or ""))
    return found


async def _log(town: Town, by_id: Mapping[UUID, Flow]) -> list[Finding]:
    """Each event of every outbox in the log of its topic, as it was written, in the order of its aggregate."""
    found = []
    for entry in ENTRIES:
        rows = await town.running.rows(entry.name, _OUTBOX)
        last: dict[tuple[str, UUID], int] = {}
        contents = {event: hashlib.sha256(data).digest() for *_, event, data in rows}
        for topic, key, sequence, *_ in rows:
            last[topic, key] = max(sequence, last.get((topic, key), 0))
        seen, strange = await _logged(town, {topic for topic, _ in last}, contents)
        found += [Finding(Kind.ALTERED, WHOLE_RUN, f"an event of {entry.name}: {what}") for what in strange]
        for (topic, key), final in last.items():
            flow = by_id[key].number if key in by_id else WHOLE_RUN
            sequences = seen.get((topic, key), [])
            if not in_order(sequences):
                found.append(Finding(Kind.OUT_OF_ORDER, flow, f"{topic} {key} in the log: {sequences}"))
            if max(sequences, default=0) != final:
                found.append(
                    Finding(Kind.LOST, flow, f"{topic} {key} ends at {max(sequences, default=0)}, not {final}")
                )
            found += [Finding(Kind.REPEATED, flow, f"{topic} in the log")] * (len(sequences) - len(set(sequences)))
    return found


async def _logged(
    town: Town, topics: set[str], contents: Mapping[UUID, bytes]
) -> tuple[dict[tuple[str, UUID], list[int]], list[str]]:
    """The sequences of every key in the order of the log, and what is not as the outbox has it."""
    seen: dict[tuple[str, UUID], list[int]] = defaultdict(list)
    strange: list[str] = []
    for zone in Zone:
        names = sorted(topic for topic in topics if zones().log_of(topic) is zone)
        if not names:
            continue
        async for message, envelope in _messages_of(town.log_of(zone), names):
            if envelope is None:
                strange.append("not an event")
            elif envelope.id in contents:
                seen[message.topic, envelope.key].append(envelope.sequence)
                if hashlib.sha256(message.value).digest() != contents[envelope.id]:
                    strange.append(f"{envelope.type} {envelope.id} has other content")
    return seen, strange


async def _messages_of(log: Transport, topics: Sequence[str]) -> Any:
    """Every message of these topics, with its envelope; None for what is no event."""
    expected = sum((await log.end_offsets(topics)).values())
    reader = await log.reader(f"count-{new_id()}", topics)
    try:
        read, idle = 0, 0
        while read < expected and idle < 20:
            batch: list[Incoming] = await reader.fetch(1000, timedelta(milliseconds=500))
            idle = 0 if batch else idle + 1
            read += len(batch)
            for message in batch:
                yield message, _envelope(message)
    finally:
        await reader.close()
        await log.close()


def _envelope(message: Incoming) -> Envelope | None:
    try:
        return decode(message.key, message.headers)
    except Undecodable:
        return None


async def _audited(town: Town, by_id: Mapping[UUID, Flow]) -> list[Finding]:
    """One audit record for each operation that was done: known by the trace it shares with its event."""
    recorded: Counter[tuple[str, str]] = Counter()
    for action, trace, times in await town.running.rows("procedures", _AUDITED):
        recorded[action, trace] += times
    found = []
    told = {f"town.procedures.application.{state}.v1": f"application.{kind}" for kind, state in STATES.items()}
    for key, kind, trace in await town.running.rows("procedures", _TRACES):
        action = told.get(kind)
        if action is None or key not in by_id:
            continue
        times = recorded.pop((action, trace), 0)
        if times != 1:
            found.append(Finding(Kind.AUDIT_GAP, by_id[key].number, f"{times} records of {action}"))
    done = set(told.values())
    found += [
        Finding(Kind.AUDIT_GAP, WHOLE_RUN, f"a record of {action} that belongs to no event")
        for action, _ in recorded
        if action in done
    ]
    return found


async def _chains(town: Town) -> list[Finding]:
    """Every chain of records holds, up to the heads kept outside."""
    found = []
    anchors: dict[str, list[Head]] = defaultdict(list)
    for posted in town.running.ledger("audit_anchor", "head"):
        head = posted["head"]
        anchors[head["service"]].append(Head(head["seq"], bytes.fromhex(head["hash"])))
    place, (host, port) = town.running.place, town.running.town.server
    password = (place.postgres / "postgres.password").read_text().strip()
    for entry in ENTRIES:
        database = Database(server.sqlalchemy_url(server.dsn(host, port, server.ADMIN, password, entry.name)))
        async with database.running():
            verdict = await verify(database, anchors[entry.name])
        if not verdict.holds:
            what = f"{entry.name}: {verdict.reason} at {verdict.first_bad}, {verdict.unchained} not chained"
            found.append(Finding(Kind.AUDIT_GAP, WHOLE_RUN, what))
    return found
