"""What every service's worker does besides its own work: chain and anchor the audit trail, sweep what has expired."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, text

from town_kit.audit.anchor import AnchorPoster
from town_kit.audit.chain import chain_job
from town_kit.blobs import sweep_job
from town_kit.clock import Clock
from town_kit.db.engine import Database
from town_kit.service import Job, Service

_EXPIRED = text(
    "DELETE FROM idempotency_keys WHERE scope_hash IN (SELECT scope_hash FROM idempotency_keys"
    " WHERE expires_at < :now ORDER BY expires_at LIMIT 1000)"  # no row lock: the role may delete, not update
)


def standard_jobs(service: Service) -> tuple[Job, ...]:
    """The jobs of every service; the audit anchor only where one is configured."""
    database, clock, anchor = service.database, service.clock, service.settings.audit_anchor
    jobs = (chain_job(database, service.name, clock), sweep_job(database, clock), forget_answers_job(database, clock))
    return (*jobs, AnchorPoster(database, service.name, anchor, clock).job()) if anchor else jobs


def forget_answers_job(database: Database, clock: Clock) -> Job:
    """Removes stored answers whose time is over (see ``town_kit.idempotency.KEEP``), 1,000 a run."""

    async def run() -> int:
        async with database.begin() as session:
            done = cast(CursorResult[Any], await session.execute(_EXPIRED, {"now": clock.now()}))
            return int(done.rowcount)

    return Job("idempotency-keys.expiry", timedelta(minutes=10), run)
