"""What the portal knows: applications with their packages, receipts, and the statuses the town pushed.

Everything is read back from the ledger at start, so a restart forgets nothing. A receipt or a status carries an id: the
same one again is a repeat, the same one with other content is a conflict.
"""

import asyncio
import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

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
    fetched_up_to: int = 0
    """The newest revision the town confirmed (受領)."""


class Desk:
    """The applications of the portal."""

    def __init__(self, ledger: Ledger, packages: Path, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self._packages = packages
        self._filing = asyncio.Lock()
        packages.mkdir(parents=True, exist_ok=True)
        self.filed: dict[str, Filed] = {}
        self._ids: dict[tuple[str, str, str], Entry] = {}
        for entry in ledger.entries:
            self._restore(entry)

    def _restore(self, entry: Entry) -> None:
        match entry["kind"]:
            case "application":
                before = self.filed.get(entry["receipt_no"])
                now = Filed(**{name: entry[name] for name in _FIELDS})
                if before:
                    now.statuses, now.fetched_up_to = before.statuses, before.fetched_up_to
                self.filed[now.receipt_no] = now
            case "receipt":
                self._ids["receipt", entry["receipt_no"], entry["id"]] = entry
                filed = self.filed[entry["receipt_no"]]
                filed.fetched_up_to = max(filed.fetched_up_to, entry["revision"])
            case "status":
                self._ids["status", entry["receipt_no"], entry["id"]] = entry
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

    async def package(self, receipt_no: str, revision: int | None) -> bytes:
        """The bytes of a package. ``KeyError`` when the number or the revision is not known."""
        filed = self.filed[receipt_no]
        wanted = revision or filed.revision
        if not 1 <= wanted <= filed.revision:
            raise KeyError(receipt_no)
        return await asyncio.to_thread(self._path(receipt_no, wanted).read_bytes)

    async def take(self, kind: Literal["receipt", "status"], receipt_no: str, content: dict[str, Any]) -> Verdict:
        """Keep a receipt or a status, known by receipt number and ``content["id"]``."""
        key = (kind, receipt_no, content["id"])
        known = self._ids.get(key)
        if known is None:
            late = kind == "status" and any(content["sequence"] < n for n in self.filed[receipt_no].statuses)
            fields = {"receipt_no": receipt_no, **content, **({"late": late} if kind == "status" else {})}
            self._restore({"kind": kind, **fields})  # before the disk is waited for: a parallel repeat must see it
            await self.ledger.append(kind, **fields)
            return "new"
        verdict: Verdict = "repeated" if all(known[name] == value for name, value in content.items()) else "conflict"
        await self.ledger.append(f"{kind}_{verdict}", receipt_no=receipt_no, **content)
        return verdict


def _write_through(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
