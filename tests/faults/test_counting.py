"""The harness's own reckoning: what the ledger says, and what a comparison with it finds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from .findings import Kind, in_order
from .flows import Flow, compare
from .ledger import Book, Ledger, Operation, Outcome
from .windows import percentile

WANTED = ["submitted", "accepted", "approved"]


def operation(number: int, outcome: Outcome = Outcome.ACKED, **known: Any) -> Operation:
    return Operation(number, 1, "submit", f"key-{number}", "", 10.0, "taro", outcome=outcome, **known)


async def test_the_ledger_knows_what_was_meant_to_be_sent_before_it_knows_what_became_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    keeping = asyncio.create_task(ledger.keep())
    common = {"flow": 1, "kind": "submit", "digest": "", "sent": 1.0, "person": "taro"}
    for number in (1, 2, 3):
        await ledger.intend(op=number, key=f"key-{number}", **common)
    book = Book(path).read()
    assert [one.outcome for one in book.operations.values()] == [Outcome.UNKNOWN] * 3

    ledger.note(op=1, outcome=Outcome.UNKNOWN, status=0, definite=False, at=2.0)
    ledger.note(op=1, outcome=Outcome.ACKED, status=201, definite=True, at=3.0, application="a")
    ledger.note(op=2, outcome=Outcome.REFUSED, status=422, definite=True, at=3.0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    with path.open("ab") as file:
        file.write(b'{"op":3,"outcome"')  # a line that is being written is not read yet
    book.read()

    assert [one.application for one in book.acknowledged()] == ["a"]
    assert (book.operations[1].tries, book.operations[1].unknown) == (2, 1)
    assert book.operations[2].outcome is Outcome.REFUSED
    assert book.operations[3].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (WANTED, []),
        (WANTED[:2], [Kind.LOST]),
        ([*WANTED, "approved"], [Kind.DUPLICATED]),
        (["submitted", "approved", "accepted"], [Kind.OUT_OF_ORDER]),
        ([*WANTED, "withdrawn"], [Kind.PHANTOM]),
        ([], [Kind.LOST] * 3),
    ],
)
def test_a_comparison_names_what_is_wrong(seen: list[str], found: list[Kind]) -> None:
    flow = Flow(1, [operation(1)])
    assert [one.kind for one in compare(flow, WANTED, seen, "here")] == found


def test_what_has_no_definite_answer_may_be_there_or_not() -> None:
    flow = Flow(1, [operation(1), operation(2, Outcome.UNKNOWN)])
    for seen in (WANTED, [*WANTED, "withdrawn"]):
        assert list(compare(flow, WANTED, seen, "here", "withdrawn")) == []


@pytest.mark.parametrize(
    ("sequences", "right"), [([1, 2, 3], True), ([1, 2, 1, 2, 3], True), ([1, 3, 2], False), ([2], False), ([], True)]
)
def test_a_repeat_is_in_order_and_a_gap_is_not(sequences: list[int], right: bool) -> None:
    assert in_order(sequences) is right


def test_a_percentile_needs_every_answer() -> None:
    answered = [operation(n, ended=10.0 + n) for n in range(1, 101)]
    assert percentile(answered, 0.99) == 100.0
    assert percentile([*answered, operation(101, Outcome.UNKNOWN)], 0.99) is None
