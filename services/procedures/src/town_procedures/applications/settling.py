"""署名確認: settling what waited for a revocation list, by the certificate's status alone and exactly once.

The question goes to identity outside any transaction; the verdict is written under the row's lock, and only while the
application still waits with the same certificate.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.problems import JpkiRevoked, Problem
from town_procedures.applications import service
from town_procedures.applications.domain import State
from town_procedures.applications.models import Application

log = structlog.get_logger(__name__)

PAGE = 50
Recheck = Callable[[str, datetime], Awaitable[str]]
"""(serial reference, moment of receipt) → ``good``, ``revoked`` or ``unknown``."""


async def settle_pending(database: Database, recheck: Recheck, clock: Clock) -> int:
    """Ask again for everything that waits; answers how many were settled."""
    settled, after = 0, None
    while page := await _waiting(database, after):
        for row in page:
            settled += await _settle(database, recheck, clock, row)
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


async def _settle(database: Database, recheck: Recheck, clock: Clock, row: Any) -> int:
    reference = row.signature["serial_reference"]
    try:
        verdict = await recheck(reference, row.received_at)
    except Problem as problem:
        log.warning("signature_recheck_failed", reason=problem.slug)
        return 0
    if verdict == "unknown":
        return 0
    async with database.begin() as session:
        return await _write(session, row.id, reference, verdict, clock.now())


async def _write(session: AsyncSession, application_id: UUID, reference: str, verdict: str, now: datetime) -> int:
    query = select(Application).where(Application.id == application_id).with_for_update()
    application = (await session.execute(query)).scalar_one()
    signature = application.signature or {}
    if application.state != State.PENDING_VERIFICATION or signature.get("serial_reference") != reference:
        return 0  # settled, withdrawn or replaced while the question was open
    application.signature = {**signature, "revocation": verdict, "checked_at": now.isoformat()}
    if verdict == "good":
        await service.advance(session, application, State.SUBMITTED, at=now, actor_role=service.SYSTEM, actor_id=None)
    else:
        await service.settle(
            session,
            application,
            State.REJECTED,
            JpkiRevoked.slug,
            at=now,
            actor_role=service.SYSTEM,
            actor_id=None,
        )
    return 1
