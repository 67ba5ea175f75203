"""What the portal knows: applications with their packages, and the statuses the town pushed.

Everything is read back from the ledger at start, so a restart forgets nothing. A status is known by 受付番号 and
sequence: the same one again is a repeat, the same one with other content is a conflict.
"""

import asyncio
import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from town_kit.clock import JST, Clock
from town_sandbox.ledger import Entry, Ledger

Verdict = Literal["new", "repeated", "conflict"]
_FIELDS = (
    "receipt_no",
    "revision",
    "procedure_id",
    "municipality_code",
    "submitted_at",
    "package_size",
    "package_sha256",
)


@dataclass
class Filed:
    """One application at the portal, as its newest revision stands."""

    receipt_no: str
    revision: int
    procedure_id: str
    municipality_code: str
    submitted_at: str
    package_size: int
    package_sha256: str
    statuses: dict[int, Entry] = field(default_factory=dict)
    """Status pushes by sequence."""


class Desk:
    """The applications of the portal."""

    def __init__(self, ledger: Ledger, packages: Path, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self._packages = packages
        self._filing = asyncio.Lock()
        packages.mkdir(parents=True, exist_ok=True)
        self.filed: dict[str, Filed] = {}
        for entry in ledger.entries:
            self._restore(entry)

    def _restore(self, entry: Entry) -> None:
        if entry["kind"] == "application":
            before = self.filed.get(entry["receipt_no"])
            statuses = before.statuses if before else {}
            self.filed[entry["receipt_no"]] = Filed(**{name: entry[name] for name in _FIELDS}, statuses=statuses)
        elif entry["kind"] == "status":
            self.filed[entry["receipt_no"]].statuses[entry["sequence"]] = entry

    async def file(
        self, package: bytes, *, procedure_id: str, municipality_code: str, revises: str | None = None
    ) -> Filed:
        """Take a package and give it a 受付番号. ``revises`` keeps the number: 補正 or 差替.

        ``KeyError`` when the number to revise is not known.
        """
        async with self._filing:
            moment = self.clock.now()
            receipt_no = self.filed[revises].receipt_no if revises else self._receipt_no(moment)
            revision = self.filed[revises].revision + 1 if revises else 1
            await asyncio.to_thread(_write_through, self._path(receipt_no, revision), package)
            entry = await self.ledger.append(
                "application",
                receipt_no=receipt_no,
                revision=revision,
                procedure_id=procedure_id,
                municipality_code=municipality_code,
                submitted_at=moment.astimezone(JST).isoformat(timespec="milliseconds"),
                package_size=len(package),
                package_sha256=hashlib.sha256(package).hexdigest(),
            )
            self._restore(entry)
            return self.filed[receipt_no]

    def _receipt_no(self, moment: datetime) -> str:
        return f"{moment.astimezone(JST):%Y%m%d}{len(self.filed) + 1:010}"

    def _path(self, receipt_no: str, revision: int) -> Path:
        return self._packages / f"{receipt_no}-{revision}.zip"

    async def package(self, receipt_no: str) -> bytes:
        """The bytes of the newest package. ``KeyError`` when the number is not known."""
        return await asyncio.to_thread(self._path(receipt_no, self.filed[receipt_no].revision).read_bytes)

    async def take_status(
        self, receipt_no: str, *, sequence: int, code: str, occurred_at: str, message: str
    ) -> Verdict:
        """Keep a status; ``late`` marks one that came after a higher sequence."""
        content: Entry = {"sequence": sequence, "code": code, "occurred_at": occurred_at, "message": message}
        statuses = self.filed[receipt_no].statuses
        known = statuses.get(sequence)
        if known is None:
            fields = {"receipt_no": receipt_no, **content, "late": any(sequence < other for other in statuses)}
            self._restore({"kind": "status", **fields})  # before the disk is waited for: a parallel repeat must see it
            await self.ledger.append("status", **fields)
            return "new"
        verdict: Verdict = "repeated" if all(known[name] == value for name, value in content.items()) else "conflict"
        await self.ledger.append(f"status_{verdict}", receipt_no=receipt_no, **content)
        return verdict


def _write_through(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
