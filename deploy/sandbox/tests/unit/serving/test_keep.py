"""The ledger keeps what was acknowledged, whatever happens to the process."""

import asyncio
from pathlib import Path

from town_sandbox.ledger import Ledger


async def test_parallel_appends_are_all_on_disk_in_order_of_their_numbers(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "x.jsonl")
    await asyncio.gather(*(ledger.append("one", value=i) for i in range(200)))
    ledger.close()
    again = Ledger(tmp_path / "x.jsonl")
    assert [e["n"] for e in again.entries] == list(range(1, 201))
    assert {e["value"] for e in again.entries} == set(range(200))


async def test_a_line_cut_by_a_crash_is_dropped_and_the_next_one_takes_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"n":1,"kind":"whole"}\n{"n":2,"ki')
    ledger = Ledger(path)
    entry = await ledger.append("next")
    assert entry["n"] == 2
    assert path.read_bytes().count(b"\n") == 2


async def test_an_append_does_not_return_before_an_fsync_that_began_after_it(tmp_path: Path, monkeypatch) -> None:
    synced: list[int] = []
    ledger = Ledger(tmp_path / "x.jsonl")
    monkeypatch.setattr("town_sandbox.ledger.os.fsync", lambda _fd: synced.append(ledger.path.stat().st_size))
    await asyncio.gather(*(ledger.append("one") for _ in range(50)))
    assert synced[-1] == ledger.path.stat().st_size
