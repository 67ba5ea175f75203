"""What procedures tells of applications; each reader takes only what it needs.

A handler only writes down that something is to be fetched: the call is made by a job, outside the transaction.
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received
from town_standardization.hand_overs.domain import State
from town_standardization.hand_overs.models import PendingHandOver
from town_standardization.records import withdraw

HANDED_OVER_IN = frozenset({"accepted", "in_review", "correction_requested"})
"""States of an application in which the core system's work has begun and is not done."""


class ApplicationReader(Reader):
    """Which application."""

    TOPIC: ClassVar[str] = "procedures.applications"

    application_id: UUID


class ApplicationAccepted(ApplicationReader):
    """受付: the core system's work begins."""

    TYPE: ClassVar[str] = "town.procedures.application.accepted.v1"

    business_id: str
    procedure_code: str
    reference: str


class ApplicationRepublished(ApplicationReader):
    """いまの状態, for who comes late."""

    TYPE: ClassVar[str] = "town.procedures.application.republished.v1"

    business_id: str
    procedure_code: str
    reference: str
    state: str
    state_since: datetime


class ApplicationCorrectionReceived(ApplicationReader):
    """補正受付: the answers have changed."""

    TYPE: ClassVar[str] = "town.procedures.application.correction_received.v1"


class ApplicationRevised(ApplicationReader):
    """差替: other content stands in the application than was fetched."""

    TYPE: ClassVar[str] = "town.procedures.application.revised.v1"


class ApplicationWithdrawn(ApplicationReader):
    """取下げ."""

    TYPE: ClassVar[str] = "town.procedures.application.withdrawn.v1"


def hand_over_consumers(clock: Clock) -> list[Consumer]:
    """The consumers of this slice."""

    async def accepted(session: AsyncSession, event: Received[ApplicationAccepted]) -> None:
        await _begin(session, event.data, accepted_at=event.occurred_at, due_at=clock.now(), trace=event.traceparent)

    async def republished(session: AsyncSession, event: Received[ApplicationRepublished]) -> None:
        if event.data.state in HANDED_OVER_IN:
            since = event.data.state_since
            await _begin(session, event.data, accepted_at=since, due_at=clock.now(), trace=event.traceparent)
        elif event.data.state == "withdrawn":
            await _withdraw(session, event.data.application_id, at=clock.now())

    async def changed(
        session: AsyncSession, event: Received[ApplicationCorrectionReceived] | Received[ApplicationRevised]
    ) -> None:
        pending = await _locked(session, event.data.application_id)
        if pending is not None and pending.state != State.DROPPED:
            pending.state, pending.wrong, pending.attempts = State.WAITING.value, [], 0
            pending.revision += 1
            pending.due_at, pending.traceparent = clock.now(), event.traceparent

    async def withdrawn(session: AsyncSession, event: Received[ApplicationWithdrawn]) -> None:
        await _withdraw(session, event.data.application_id, at=clock.now())

    return [
        Consumer(
            name="standardization.applications",
            service="standardization",
            handlers={
                ApplicationAccepted: accepted,
                ApplicationRepublished: republished,
                ApplicationCorrectionReceived: changed,
                ApplicationRevised: changed,
                ApplicationWithdrawn: withdrawn,
            },
        )
    ]


async def _begin(
    session: AsyncSession,
    application: ApplicationAccepted | ApplicationRepublished,
    *,
    accepted_at: datetime,
    due_at: datetime,
    trace: str | None,
) -> None:
    if await _locked(session, application.application_id) is not None:
        return
    session.add(
        PendingHandOver(
            id=application.application_id,
            version=1,
            event_sequence=0,
            business_id=application.business_id,
            procedure_code=application.procedure_code,
            reference=application.reference,
            state=State.WAITING.value,
            revision=1,
            attempts=0,
            due_at=due_at,
            accepted_at=accepted_at,
            traceparent=trace,
            wrong=[],
        )
    )
    await session.flush()


async def _withdraw(session: AsyncSession, application_id: UUID, *, at: datetime) -> None:
    """Fetch no more, and tell the core system where it can have the record already."""
    pending = await _locked(session, application_id)
    if pending is not None:
        pending.state = State.DROPPED.value
        await withdraw(session, pending.business_id, pending.reference, at=at)


async def _locked(session: AsyncSession, application_id: UUID) -> PendingHandOver | None:
    query = select(PendingHandOver).where(PendingHandOver.id == application_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()
