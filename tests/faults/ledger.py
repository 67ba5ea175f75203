"""The client's ledger (台帳): what was asked and what became of it, as the client alone knows it.

One JSON object a line. The intent of an operation is on disk before the operation is sent: whatever is killed, it is
known what may have happened. Lines that arrive within 100 ms share one ``fsync``.
"""

import asyncio
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

BATCH_SECONDS = 0.1


class Outcome(StrEnum):
    """How an operation ended for the client."""

    ACKED = "acked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Ledger:
    """Writes the ledger; one process, one writer.

    Args:
        path: the file, which is only ever appended to.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lines: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []

    async def intend(self, **fields: Any) -> None:
        """Write down what is about to be sent; returns when it is on disk."""
        durable = asyncio.get_running_loop().create_future()
        self._lines.append(_line(fields))
        self._waiting.append(durable)
        await durable

    def note(self, **fields: Any) -> None:
        """Write down what became of it, with the next batch."""
        self._lines.append(_line(fields))

    async def keep(self) -> None:
        """Write and sync batches until cancelled; what is left then is written too."""
        try:
            while True:
                await asyncio.sleep(BATCH_SECONDS)
                await self._flush()
        finally:
            self._file.write(b"".join(self._lines))
            os.fsync(self._file.fileno())
            self._file.close()

    async def _flush(self) -> None:
        lines, self._lines = self._lines, []
        waiting, self._waiting = self._waiting, []
        if lines:
            self._file.write(b"".join(lines))
            await asyncio.to_thread(os.fsync, self._file.fileno())
        for one in waiting:
            if not one.done():
                one.set_result(None)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass
class Operation:
    """One operation, put together from its lines.

    Attributes:
        number: of the operation.
        flow: number of the application it belongs to; an operation of one flow follows the one before.
        kind: submit, accept, decide, complete or withdraw.
        key: its Idempotency-Key, the same for each try.
        digest: SHA-256 of what was sent, as far as the owner stores it.
        sent: monotonic seconds of the first try.
        person: who filed the application.
        ended: monotonic seconds of the definite answer; None while there is none.
        outcome: how it ended; unknown without a definite answer.
        status: of the definite answer.
        tries: how often it was sent.
        unknown: how many tries had no answer, or one that says nothing (a 5xx other than 503).
        failed: how many tries were not acknowledged at once, unknown ones included.
        application: id of the application, once it is known.
    """

    number: int
    flow: int
    kind: str
    key: str
    digest: str
    sent: float
    person: str
    ended: float | None = None
    outcome: Outcome = Outcome.UNKNOWN
    status: int = 0
    tries: int = 0
    unknown: int = 0
    failed: int = 0
    application: str | None = None


@dataclass
class Book:
    """The ledger as it is read, also while it is being written."""

    path: Path
    operations: dict[int, Operation] = field(default_factory=dict)
    _offset: int = 0

    def read(self) -> "Book":
        """Take in the whole lines that are new."""
        if not self.path.exists():
            return self
        with self.path.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._take(map(json.loads, whole.splitlines()))
        return self

    def _take(self, entries: Iterable[dict[str, Any]]) -> None:
        for entry in entries:
            number = entry.pop("op")
            if "key" in entry:
                self.operations[number] = Operation(number, **entry)
                continue
            operation = self.operations[number]
            operation.tries += 1
            outcome = Outcome(entry["outcome"])
            operation.status = entry["status"]
            operation.unknown += outcome is Outcome.UNKNOWN
            operation.failed += outcome is not Outcome.ACKED
            if entry["definite"]:
                operation.outcome, operation.ended = outcome, entry["at"]
                operation.application = entry.get("application")

    def acknowledged(self) -> Iterator[Operation]:
        """Every operation the town has promised."""
        return (one for one in self.operations.values() if one.outcome is Outcome.ACKED)
