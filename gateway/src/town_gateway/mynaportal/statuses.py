"""Carrying statuses out (申請処理状況): heard from procedures, kept, told to the portal in order; sent, then marked.

The portal cannot take part in our transaction, so a kill after the call and before the mark repeats one call. The
id of a status follows from receipt number and sequence; by it the portal drops the repeat.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.mynaportal import repository
from town_gateway.mynaportal.portal import PortalClient, PortalRefused, PortalUnavailable
from town_gateway.mynaportal.profile import Told
from town_kit.clock import JST, Clock
from town_kit.db import Database
from town_kit.failpoints import failpoint
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received

log = structlog.get_logger(__name__)

AT_ONCE = 20
FACTS = (
    "accepted",
    "review_started",
    "correction_requested",
    "correction_received",
    "postponed",
    "approved",
    "rejected",
    "withdrawn",
    "completed",
    "decision_revised",
    "decision_revoked",
)


class ApplicationFact(Reader):
    """What the connector reads of an application's event; those without 受付番号 did not come from the portal."""

    TYPE: ClassVar[str] = ""
    TOPIC: ClassVar[str] = "procedures.applications"

    application_id: UUID
    receipt_no: str | None = None
    status_sequence: int = 0


def _reader(fact: str) -> type[ApplicationFact]:
    name = "".join(part.title() for part in fact.split("_"))
    return type(name, (ApplicationFact,), {"TYPE": f"town.procedures.application.{fact}.v1", "__module__": __name__})


READERS = {fact: _reader(fact) for fact in FACTS}


def status_consumer(told: Mapping[str, Told], clock: Clock) -> Consumer:
    """The consumer that turns facts into statuses to tell; facts without an entry in the profile are not told."""

    def handler(fact: str) -> Any:
        async def keep(session: AsyncSession, event: Received[ApplicationFact]) -> None:
            data = event.data
            if data.receipt_no is None or fact not in told:
                return
            await repository.keep_status(
                session,
                receipt_no=data.receipt_no,
                sequence=data.status_sequence,
                fact=fact,
                code=told[fact].code,
                message=told[fact].message,
                occurred_at=event.occurred_at,
                now=clock.now(),
            )

        return keep

    handlers: dict[type[Reader], Any] = {reader: handler(fact) for fact, reader in READERS.items()}
    return Consumer(name="connector.statuses", service="connector", handlers=handlers)


class StatusPusher:
    """Tells the portal what is due."""

    def __init__(self, database: Database, portal: PortalClient, clock: Clock) -> None:
        self.database = database
        self.portal = portal
        self.clock = clock

    async def push(self) -> int:
        """One batch, at most one status per receipt number; returns how many were settled."""
        async with self.database.begin() as session:
            due = await repository.claim_statuses(session, self.clock.now(), AT_ONCE)
        return sum(await asyncio.gather(*(self._push_one(row) for row in due)))

    async def _push_one(self, row: Row[Any]) -> int:
        settlement = "sent"
        try:
            await self.portal.push_status(
                row.receipt_no,
                status_id=str(row.id),
                sequence=row.sequence,
                code=row.code,
                message=row.message,
                occurred_at=row.occurred_at.astimezone(JST),
            )
        except PortalUnavailable as failure:
            log.warning("portal_status_waits", receipt_no=row.receipt_no, sequence=row.sequence, reason=str(failure))
            return 0
        except PortalRefused as refused:
            settlement = f"refused:{refused.status}"
            log.warning("portal_status_refused", receipt_no=row.receipt_no, sequence=row.sequence, reason=settlement)
        failpoint("after-send-before-mark", "portal-status")
        async with self.database.begin() as session:
            await repository.settled(session, row.id, settlement, self.clock.now())
        return 1
