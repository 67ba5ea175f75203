"""The chain's arithmetic: canonical form, links, and the speed of checking them."""

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from town_kit.audit.chain import GENESIS, batch_event, canonical_record, links
from town_kit.audit.record import COLUMNS, audit_row
from town_kit.audit.verify import Read, Verdict, check
from town_kit.auth.principal import Principal, Role
from town_kit.ids import new_id

NOON = datetime(2027, 1, 4, 3, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def row(**changes: Any) -> dict[str, Any]:
    made = audit_row(
        action="application.accept",
        basis="行政手続法7条",
        purpose="児童手当",
        principal=Principal(new_id(), Role.STAFF, "portal", frozenset()),
        subjects=[new_id()],
        fields=["answers", "state"],
        result="done",
        at=datetime(2027, 1, 4, 9, tzinfo=UTC),
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
    return made | changes


def joined(rows: list[dict[str, Any]]) -> list[Read]:
    """Rows as the verifier reads them: with their links."""
    made = links(rows, after_seq=0, after_hash=GENESIS, at=NOON)
    return [
        (link.seq, canonical_record(row).decode(), link.record_hash, link.hash, NOON)
        for row, link in zip(rows, made, strict=True)
    ]


@given(
    texts=st.lists(TEXT, min_size=6, max_size=6),
    fields=st.lists(TEXT, max_size=4),
    subjects=st.lists(st.uuids(), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_the_canonical_form_is_that_of_rfc_8785(texts: list[str], fields: list[str], subjects: list[UUID]) -> None:
    names = ("purpose", "action", "basis", "result", "trace_id", "client_id")
    made = row(**dict(zip(names, texts, strict=True)), fields=fields, subjects=subjects, principal=None, role=None)
    plain = {
        name: [str(item) for item in value]
        if isinstance(value, list)
        else value.isoformat(timespec="microseconds")
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in made.items()
    }
    assert canonical_record(made) == rfc8785.dumps(plain)
    assert set(plain) == set(COLUMNS)


def test_every_member_of_a_record_counts() -> None:
    original = row()
    changes = {
        "id": new_id(), "at": datetime(2027, 1, 5, tzinfo=UTC), "principal": new_id(), "role": "vendor",
        "client_id": "x", "purpose": "x", "action": "x", "basis": "x", "subjects": [], "fields": [], "result": "x",
        "trace_id": None,
    }  # fmt: skip
    assert set(changes) == set(COLUMNS)
    forms = {canonical_record(original | {name: value}) for name, value in changes.items()}
    assert len(forms) == len(changes)
    assert canonical_record(original) not in forms


def test_a_good_chain_holds_and_goes_on_from_a_page_to_the_next() -> None:
    rows = joined([row() for _ in range(10)])
    verdict = check(rows[5:], check(rows[:5], Verdict(), {}), {})
    assert verdict.holds
    assert (verdict.checked, verdict.head.seq, verdict.head.hash) == (10, 10, rows[-1][3])


def test_fifty_thousand_records_are_checked_in_a_second() -> None:
    rows = joined([row() for _ in range(5_000)])
    best = 9.0
    for _ in range(3):
        began = time.process_time()
        assert check(rows, Verdict(), {}).holds
        best = min(best, time.process_time() - began)
    rate = len(rows) / best
    assert rate > 50_000, f"{rate:.0f} records/s"


def test_each_service_has_an_event_type_of_its_own() -> None:
    assert batch_event("identity").TYPE == "town.identity.audit-batch.chained.v1"
    assert batch_event("procedures").TOPIC == "procedures.audit-batches"
    assert batch_event("identity") is batch_event("identity")
