"""The job that reads released packages: claim → fetch → announce → open in the vault → encrypt the numbers → hand in.

The raw package is clear in this process's memory and temporary files alone. That it is about to be opened is committed
to the audit before its first piece is, whatever becomes of it then.
"""

import asyncio
import base64
import hashlib
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit import telemetry
from town_kit.archives import open_archive
from town_kit.audit import record
from town_kit.blobs import BlobDamaged, open_sealed
from town_kit.problems import DependencyUnavailable, Problem
from town_kit.raw_packages import Package, PackageProfile, read_package
from town_standardization.my_numbers import Opening, note_openings
from town_standardization.ports import Ports
from town_standardization.releases.models import Release
from town_standardization.releases.numbers import sealed

log = structlog.get_logger(__name__)
LARGEST = 30 * 1024 * 1024
LEASE = timedelta(seconds=120)
LONGEST_PAUSE = timedelta(minutes=15)
BASIS = "番号法9条"
PURPOSE = "隔離された申請データの再受付"
BUSINESS = "029"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A release this process may work on until its lease ends."""

    id: UUID
    raw_package_id: UUID
    revision: int
    attempts: int
    traceparent: str | None


class Unreadable(Exception):
    """The package cannot be read; ``reason`` is a slug."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def hand_in_batch(ports: Ports) -> int:
    """Work on the next due release; 1 when one was settled."""
    claimed = await _claim(ports)
    if claimed is None:
        return 0
    with telemetry.span("releases.hand_in", parent=claimed.traceparent):
        return await _settle(ports, claimed)


async def _settle(ports: Ports, claimed: Claimed) -> int:
    try:
        body = await _read(ports, claimed)
        outcome = await ports.packages.hand_in(body)
    except DependencyUnavailable:
        await _postpone(ports, claimed)
        return 0
    except Unreadable as unreadable:
        await _close(ports, claimed, "held", reason=unreadable.reason)
    else:
        state = "held" if outcome == "refused" else "done" if outcome else "dropped"
        await _close(ports, claimed, state, outcome=outcome)
    return 1


async def _claim(ports: Ports) -> Claimed | None:
    now = ports.clock.now()
    query = (
        select(Release)
        .where(Release.state == "waiting", Release.due_at <= now)
        .order_by(Release.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    async with ports.database.begin() as session:
        row = (await session.execute(query)).scalar_one_or_none()
        if row is None:
            return None
        row.attempts += 1
        row.due_at = now + LEASE
        return Claimed(row.id, row.raw_package_id, row.revision, row.attempts, row.traceparent)


async def _read(ports: Ports, claimed: Claimed) -> dict[str, Any]:
    """What is handed in: answers without numbers, numbers encrypted, digests and signature of what was signed."""
    with tempfile.SpooledTemporaryFile(max_size=4 * 1024 * 1024) as file:
        await _open_into(ports, claimed, file)
        try:
            package = await asyncio.to_thread(_package, file, ports.package_profile)
        except Problem as problem:
            raise Unreadable(problem.slug) from None
    found = await ports.packages.procedure_of(package.procedure_id)
    if found is None:
        raise Unreadable("procedure-unknown")
    code, form = found
    answers, numbers = sealed(form, package.answers, ports.vault.keys.newest.public_key())
    await _note_numbers(ports, [number["pointer"] for number in numbers])
    return {
        "released_id": str(claimed.id),
        "procedure_code": code,
        "answers": answers,
        "my_numbers": numbers,
        "digests": {name: hashlib.new(name, package.signed).hexdigest() for name in ("sha256", "sha384")},
        "cms": base64.b64encode(package.cms).decode() if package.cms else None,
        "documents": [
            {"kind": one.kind, "media_type": one.media_type, "size": one.size, "sha256": one.sha256}
            for one in package.files
        ],
    }


async def _open_into(ports: Ports, claimed: Claimed, file: IO[bytes]) -> None:
    try:
        async with ports.packages.raw_package(claimed.raw_package_id) as content:
            await _announce(ports, claimed)
            async for piece in open_sealed(content, ports.vault.keys, limit=LARGEST):
                file.write(piece)
    except BlobDamaged:
        raise Unreadable("raw-package-damaged") from None
    file.seek(0)


def _package(file: IO[bytes], profile: PackageProfile) -> Package:
    with open_archive(file) as archive:
        return read_package(archive, profile)


async def _announce(ports: Ports, claimed: Claimed) -> None:
    """Commit that this raw package is about to be opened; each try opens it again and says so again."""
    row = record.audit_row(
        action="raw-package.open",
        basis=BASIS,
        purpose=PURPOSE,
        principal=ports.principal,
        subjects=(),
        fields=(str(claimed.raw_package_id),),
        result="begun",
        at=ports.clock.now(),
        trace_id=telemetry.current_trace_id(),
    )
    async with ports.database.begin() as session:
        await record.insert(session, [row])


async def _note_numbers(ports: Ports, pointers: list[str]) -> None:
    """One audit record for each number that stood in the package."""
    openings = [Opening(BUSINESS, BASIS, PURPOSE, (pointer,)) for pointer in pointers]
    async with ports.database.begin() as session:
        await note_openings(session, openings, principal=ports.principal, at=ports.clock.now())


async def _close(
    ports: Ports, claimed: Claimed, state: str, *, reason: str | None = None, outcome: str | None = None
) -> None:
    async with ports.database.begin() as session:
        row = await _still_ours(session, claimed)
        if row is not None:
            row.state, row.reason, row.outcome = state, reason, outcome
    log.info("release_settled", release=str(claimed.id), state=state, reason=reason, outcome=outcome)


async def _postpone(ports: Ports, claimed: Claimed) -> None:
    pause = min(timedelta(seconds=2 ** min(claimed.attempts, 20)), LONGEST_PAUSE)
    async with ports.database.begin() as session:
        row = await _still_ours(session, claimed)
        if row is not None:
            row.due_at = ports.clock.now() + pause


async def _still_ours(session: AsyncSession, claimed: Claimed) -> Release | None:
    query = select(Release).where(Release.id == claimed.id).with_for_update()
    row = (await session.execute(query)).scalar_one()
    return row if row.state == "waiting" and row.revision == claimed.revision else None
