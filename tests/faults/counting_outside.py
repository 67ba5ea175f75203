"""Counting what reached the outside world of the load's applications: pushes, mails, standard records."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from tests.faults.findings import WHOLE_RUN, Finding, Kind
from tests.faults.flows import OUTSIDE_REACHED, TOLD, Flow, compare

from town_onebox.testing import RunningTown

_REFERENCE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]\b")
_RECORDS = "SELECT application_id, key, history_number FROM records"


def count_outside(town: RunningTown, flows: Mapping[int, Flow]) -> Iterator[Finding]:
    """One push and one mail for each message of a reachable resident: one id, and one content under it."""
    pushes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in town.ledger("fcm", "message"):
        data = entry["message"]["data"]
        content = {**entry["message"]["notification"], **data}
        pushes[data.get("application_id", "")][data["delivery_id"]].append(_hash(content))
    mails: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in town.ledger("smtp", "message"):
        for reference in set(_REFERENCE.findall(entry["text"])):
            content = {"text": entry["text"], "subject": entry["subject"], "to": entry["recipients"]}
            mails[reference][entry["message_id"]].append(_hash(content))
    for flow in flows.values():
        wanted = sum(state in TOLD for state in flow.states)
        reachable = flow.operations[0].person == OUTSIDE_REACHED
        perhaps = flow.open_state in TOLD
        by_push = {key: value for one in flow.ids for key, value in pushes[str(one)].items()}
        by_mail = {key: value for one in flow.references for key, value in mails[one].items()}
        for where, sent in (("pushes", by_push), ("mails", by_mail)):
            yield from _sent(flow, where, sent, wanted if reachable else 0, perhaps=perhaps)


def _sent(
    flow: Flow, where: str, sent: Mapping[str, Sequence[str]], wanted: int, *, perhaps: bool
) -> Iterator[Finding]:
    if len(sent) < wanted:
        yield Finding(Kind.LOST, flow.number, f"{wanted - len(sent)} of the {where}")
    if len(sent) > wanted + perhaps:
        yield Finding(Kind.DUPLICATED, flow.number, f"{len(sent)} {where} with ids of their own for {wanted} effects")
    for contents in sent.values():
        if len(set(contents)) > 1:
            yield Finding(Kind.DUPLICATED, flow.number, f"one id with different content among the {where}")
        for _ in contents[1:]:
            yield Finding(Kind.REPEATED, flow.number, f"one id again among the {where}")


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


async def count_core_system(town: RunningTown, flows: Mapping[int, Flow]) -> list[Finding]:
    """One standard record for each accepted application, taken once by the core system."""
    records: dict[UUID, list[tuple[str, int]]] = defaultdict(list)
    for application, key, history_number in await town.rows("standardization", _RECORDS):
        records[application].append((key, history_number))
    taken = Counter((e["key"], e["history_number"]) for e in town.ledger("core_system", "record"))
    conflicts = town.ledger("core_system", "record_conflict")
    repeats = town.ledger("core_system", "record_repeated")
    found = [Finding(Kind.DUPLICATED, WHOLE_RUN, f"record {e['history_number']} with other content") for e in conflicts]
    found += [Finding(Kind.REPEATED, WHOLE_RUN, "a record was pulled again") for _ in repeats]
    for flow in flows.values():
        prepared = [name for application in flow.ids for name in records.get(application, [])]
        arrived = [name for name in prepared for _ in range(taken[name])]
        wanted = ["record"] * ("accepted" in flow.states)
        perhaps = "record" if flow.open_state == "accepted" else None
        found += compare(flow, wanted, ["record"] * len(prepared), "standardization", perhaps)
        found += compare(flow, wanted, ["record"] * len(arrived), "the core system's file", perhaps)
    return found
