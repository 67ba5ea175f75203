"""署名確認: settling what waited for a revocation list, by the certificate's status alone and exactly once.

The question goes to identity outside any transaction; the verdict is written under the row's lock, and only while the
application still waits with the same certificate.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.jp import BusinessDays
from town_kit.problems import JpkiRevoked, Problem
from town_procedures.applications import service
from town_procedures.applications.domain import Flag, State
from town_procedures.applications.models import Application
from town_procedures.applications.signer import SerialStatus

log = structlog.get_logger(__name__)

PAGE = 50
Recheck = Callable[[str, datetime], Awaitable[SerialStatus]]
"""(serial reference, moment of receipt) → the status at that moment."""


async def settle_pending(database: Database, recheck: Recheck, clock: Clock, calendar: BusinessDays) -> int:
    """Ask again for everything that waits; answers how many were settled."""
    settled, after = 0, None
    while page := await _waiting(database, after):
        for row in page:
            settled += await _settle(database, recheck, clock, calendar, row)
        after = (page[-1].recorded_at, page[-1].id)
    return settled


async def _waiting(database: Database, after: tuple[datetime, UUID] | None) -> list[Any]:
    columns = (Application.id, Application.recorded_at, Application.received_at, Application.signature)
    query = select(*columns).where(Application.state == State.PENDING_VERIFICATION.value)
    if after is not None:
        query = query.where(tuple_(Application.recorded_at, Application.id) > after)
    query = query.order_by(Application.recorded_at, Application.id).limit(PAGE)
    async with database.begin() as session:
        return list((await session.execute(query)).all())


async def _settle(database: Database, recheck: Recheck, clock: Clock, calendar: BusinessDays, row: Any) -> int:
    reference = row.signature["serial_reference"]
    try:
        status = await recheck(reference, row.received_at)
    except Problem as problem:
        log.warning("signature_recheck_failed", reason=problem.slug)
        return 0
    if status.revocation == "unknown":
        return 0
    async with database.begin() as session:
        return await _write(session, row.id, reference, status, clock.now(), calendar)


async def _write(
    session: AsyncSession,
    application_id: UUID,
    reference: str,
    status: SerialStatus,
    now: datetime,
    calendar: BusinessDays,
) -> int:
    query = select(Application).where(Application.id == application_id).with_for_update()
    application = (await session.execute(query)).scalar_one()
    signature = application.signature or {}
    if application.state != State.PENDING_VERIFICATION or signature.get("serial_reference") != reference:
        return 0  # settled, withdrawn or replaced while the question was open
    application.signature = {**signature, **asdict(status), "checked_at": now.isoformat()}
    if status.revoked_later:
        application.flags = [*application.flags, Flag.REVOKED_LATER.value]
    good = status.revocation == "good"
    await service.advance(
        session,
        application,
        State.SUBMITTED if good else State.REJECTED,
        at=now,
        by=service.SYSTEM,
        calendar=calendar,
        reason_code=None if good else JpkiRevoked.slug,
    )
    return 1
