"""Use cases: put a package aside, let it try again, discard it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.ids import new_id
from town_kit.messaging import outbox
from town_kit.problems import FieldError
from town_procedures.quarantined_packages import repository
from town_procedures.quarantined_packages.domain import State
from town_procedures.quarantined_packages.models import QuarantinedPackage
from town_procedures.raw_packages import RawPackage

MOST_ERRORS = 50


async def quarantine(
    session: AsyncSession,
    raw: RawPackage,
    *,
    mynaportal_procedure_id: str,
    procedure_code: str | None,
    reason: str,
    errors: Sequence[FieldError],
    at: datetime,
) -> QuarantinedPackage:
    """Put a raw package aside until a clerk has looked at it."""
    package = QuarantinedPackage(
        id=new_id(),
        version=1,
        event_sequence=0,
        raw_package_id=raw.id,
        source=raw.source,
        receipt_no=raw.receipt_no,
        mynaportal_procedure_id=mynaportal_procedure_id,
        procedure_code=procedure_code,
        reason=reason,
        errors=[asdict(error) for error in errors[:MOST_ERRORS]],
        received_at=raw.received_at,
        quarantined_at=at,
        application_id=None,
        settled_at=None,
        settled_by=None,
        note=None,
    )
    outbox.add(session, package.begin(), package)
    session.add(package)
    return package


def quarantine_again(
    session: AsyncSession, package: QuarantinedPackage, *, reason: str, errors: Sequence[FieldError], at: datetime
) -> QuarantinedPackage:
    """A released package is still wrong; it waits again, with what is wrong now."""
    package.reason = reason
    package.errors = [asdict(error) for error in errors[:MOST_ERRORS]]
    package.quarantined_at = at
    package.settled_at, package.settled_by = None, None
    outbox.add(session, package.advance(State.QUARANTINED), package)
    return package


async def release(
    session: AsyncSession, package_id: UUID, officer: Principal, *, expected_version: int | None, at: datetime
) -> QuarantinedPackage:
    """隔離解除: the vault opens the raw package and hands its content in again."""
    package = await repository.locked(session, package_id, officer, expected_version=expected_version)
    return _settle(session, package, State.RELEASED, officer.id, at=at)


async def discard(
    session: AsyncSession,
    package_id: UUID,
    officer: Principal,
    *,
    note: str,
    expected_version: int | None,
    at: datetime,
) -> QuarantinedPackage:
    """破棄: nothing will come of the package; its raw form is kept as evidence."""
    package = await repository.locked(session, package_id, officer, expected_version=expected_version)
    package.note = note
    return _settle(session, package, State.DISCARDED, officer.id, at=at)


def recorded(session: AsyncSession, package: QuarantinedPackage, application_id: UUID, *, at: datetime) -> None:
    """An application came of the package; one that still waited needs no clerk any more."""
    package.application_id = application_id
    if package.state == State.QUARANTINED:
        _settle(session, package, State.RELEASED, None, at=at)


def _settle(
    session: AsyncSession, package: QuarantinedPackage, to: State, by: UUID | None, *, at: datetime
) -> QuarantinedPackage:
    package.settled_at, package.settled_by = at, by
    outbox.add(session, package.advance(to), package)
    return package
