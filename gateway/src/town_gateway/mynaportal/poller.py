"""Carrying applications in (申請データの取込): list → keep → get → hand over → confirm, each step safe to repeat.

Nothing is skipped and nothing is told too early: the cursor moves in the transaction that keeps what was listed, the
portal hears 受領 only after procedures answered 2xx, and a kill between any two steps repeats at most one of them.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row

from town_gateway.mynaportal import repository
from town_gateway.mynaportal.intake import IntakeClient, IntakeUnavailable
from town_gateway.mynaportal.portal import Listed, PortalClient, PortalRefused, PortalUnavailable
from town_gateway.mynaportal.profile import AnswerUnreadable
from town_kit.clock import Clock
from town_kit.db import Database

log = structlog.get_logger(__name__)

AT_ONCE = 4
IN_MEMORY = 1024 * 1024
FAILURES = (PortalUnavailable, PortalRefused, AnswerUnreadable, IntakeUnavailable)


class PackageTooLarge(PortalUnavailable):
    """The package is longer than the connector carries; it stays listed and a person has to look."""


class Poller:
    """Fetches what waits at the portal and hands it to procedures.

    Args:
        database: the connector's.
        portal: the portal.
        intake: procedures' intake door.
        clock: decides what is due.
        every: pause between polls when nobody announces anything.
        package_limit: bytes of the longest package that is carried.
    """

    def __init__(
        self,
        database: Database,
        portal: PortalClient,
        intake: IntakeClient,
        clock: Clock,
        *,
        every: timedelta,
        package_limit: int,
    ) -> None:
        self.database = database
        self.portal = portal
        self.intake = intake
        self.clock = clock
        self.every = every
        self.package_limit = package_limit
        self.name = portal.profile.name

    async def poll(self) -> int:
        """One page of the list when a poll is due; returns how many applications it named."""
        async with self.database.begin() as session:
            claim = await repository.claim_poll(session, self.name, self.clock.now())
        if claim is None:
            return 0
        try:
            page = await self.portal.list(claim.cursor)
        except FAILURES as failure:
            log.warning("portal_poll_failed", reason=_reason(failure))
            return 0
        now = self.clock.now()
        async with self.database.begin() as session:
            await repository.keep_listed(session, page.items, now)
            await repository.polled(
                session,
                self.name,
                cursor=page.next_cursor,
                claimed_until=claim.claimed_until,
                next_poll_at=now if page.items else now + self.every,
                now=now,
            )
        return len(page.items)

    async def carry(self) -> int:
        """Hand over what is due; returns how many applications were finished."""
        async with self.database.begin() as session:
            due = await repository.claim_applications(session, self.clock.now(), AT_ONCE)
        return sum(await asyncio.gather(*(self._attempt(self._carry_one, row) for row in due)))

    async def _attempt(self, step: Callable[[Row[Any]], Awaitable[None]], row: Row[Any]) -> int:
        try:
            await step(row)
        except FAILURES as failure:
            log.warning("portal_application_waits", receipt_no=row.receipt_no, reason=_reason(failure))
            return 0
        return 1

    async def _carry_one(self, row: Row[Any]) -> None:
        if row.handed_over_at is None:
            await self._hand_over(row)
        if self.portal.profile.receipt.every_revision or not row.told_before:
            await self.portal.confirm_receipt(row.receipt_no, revision=row.revision, received_at=row.received_at)
        async with self.database.begin() as session:
            await repository.confirmed(session, row.id, self.clock.now())

    async def _hand_over(self, row: Row[Any]) -> None:
        listed = Listed(row.receipt_no, row.revision, row.received_at, row.mynaportal_procedure_id)
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as package:
            size = 0
            async with self.portal.package(row.receipt_no) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.package_limit:
                        raise PackageTooLarge("package-too-large")
                    package.write(chunk)
            acknowledged = await self.intake.submit(listed, package, size)
        async with self.database.begin() as session:
            await repository.handed_over(session, row.id, acknowledged, self.clock.now())
        log.info("portal_application_handed_over", receipt_no=row.receipt_no, outcome=acknowledged.outcome)


def _reason(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}"
