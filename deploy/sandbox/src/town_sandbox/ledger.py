"""What reached a counterpart: one append-only file of JSON lines each, on disk before the caller gets its answer.

The fault harness counts by these files, so a line must never be lost once the other side was told "accepted", and a
restart must read back what stood there. Appends that arrive together share one ``fsync``.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from town_kit.clock import Clock, SystemClock

Entry = dict[str, Any]


class Ledger:
    """An append-only JSON-lines file; every entry has ``n`` (1, 2, 3 …), ``at`` (UTC) and ``kind``."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.entries: list[Entry] = list(_whole_lines(path))
        self._file = path.open("ab")
        self._sync: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def append(self, kind: str, **fields: Any) -> Entry:
        """Write one entry and return when it is on disk."""
        entry: Entry = {"n": len(self.entries) + 1, "at": self._clock.now().isoformat(), "kind": kind, **fields}
        self._file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        self.entries.append(entry)
        await asyncio.shield(self._synced())
        return entry

    def find(self, kind: str, **fields: Any) -> list[Entry]:
        """Entries of a kind whose fields have these values, in the order of arrival."""
        return [e for e in self.entries if e["kind"] == kind and all(e.get(k) == v for k, v in fields.items())]

    def close(self) -> None:
        """Close the file; what was appended is already on disk."""
        self._file.close()

    def _synced(self) -> "asyncio.Task[None]":
        """The first fsync that begins after now: a running one may have begun before this write."""
        if self._next is not None and not self._next.done():
            return self._next
        self._next = asyncio.create_task(self._sync_after(self._sync))
        return self._next

    async def _sync_after(self, running: "asyncio.Task[None] | None") -> None:
        if running is not None and not running.done():
            await asyncio.wait([running])
        self._sync, self._next = self._next, None
        await asyncio.to_thread(os.fsync, self._file.fileno())


def _whole_lines(path: Path) -> Iterator[Entry]:
    """Read back a file; a last line cut by a crash was never acknowledged, so it is cut off."""
    if not path.exists():
        return
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) != len(raw):
        os.truncate(path, len(whole))
    for line in whole.splitlines():
        yield json.loads(line)


def counts(entries: list[Entry], key: str = "kind") -> Mapping[str, int]:
    """How many entries have each value of a field."""
    found: dict[str, int] = {}
    for entry in entries:
        value = str(entry.get(key))
        found[value] = found.get(value, 0) + 1
    return found
