"""What other services tell that changes an application; each reader takes only what it needs."""

from typing import ClassVar
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock
from town_kit.jp import BusinessDays
from town_kit.messaging.consumer import Consumer
from town_kit.messaging.event import Reader, Received
from town_procedures.applications import linking, service
from town_procedures.applications.domain import Flag, State
from town_procedures.applications.models import Application

log = structlog.get_logger(__name__)


class RecordDecided(Reader):
    """決定 made in the core system, as standardization tells it."""

    TYPE: ClassVar[str] = "town.standardization.record.decided.v1"
    TOPIC: ClassVar[str] = "standardization.records"

    application_id: UUID
    result: str
    reason_code: str | None = None


class MyNumbersDeposited(Reader):
    """The vault has taken the numbers of a content (the first one, unless it says otherwise): pointer → reference."""

    TYPE: ClassVar[str] = "town.standardization.my-number.deposited.v1"
    TOPIC: ClassVar[str] = "standardization.my-numbers"

    application_id: UUID
    revision: int = 1
    references: dict[str, str]


class PersonLinked(Reader):
    """番号紐付: a provisional person turned out to be another."""

    TYPE: ClassVar[str] = "town.identity.person.linked.v1"
    TOPIC: ClassVar[str] = "identity.persons"

    from_person_id: UUID
    to_person_id: UUID


CROSSED = {State.WITHDRAWN: Flag.DECIDED_AFTER_WITHDRAWAL, State.COMPLETED: Flag.DECIDED_OTHERWISE}
"""Where a decision comes too late to move anything, and the flag by which a clerk sees that it came."""


def application_consumers(clock: Clock, calendar: BusinessDays) -> list[Consumer]:
    """The consumers of this slice."""

    async def decided(session: AsyncSession, event: Received[RecordDecided]) -> None:
        application = await _locked(session, event.data.application_id)
        if application is None or application.decision == event.data.result:
            return  # erased, or told before
        if application.state in CROSSED:
            _flag(application, CROSSED[State(application.state)])
            return
        now = clock.now()
        approved = event.data.result == "approved"
        await service.advance(
            session,
            application,
            State.APPROVED if approved else State.REJECTED,
            at=now,
            by=service.CORE,
            calendar=calendar,
            reason_code=None if approved else event.data.reason_code,
        )
        await service.advance(session, application, State.COMPLETED, at=now, by=service.SYSTEM, calendar=calendar)

    async def deposited(session: AsyncSession, event: Received[MyNumbersDeposited]) -> None:
        application = await _locked(session, event.data.application_id)
        if application is None or application.revision != event.data.revision:
            return  # other content stands there now, with numbers the vault has yet to take
        references = event.data.references
        application.my_numbers = [
            {"pointer": n["pointer"], "role": n["role"], "reference": references[n["pointer"]]}
            if n["pointer"] in references
            else n
            for n in application.my_numbers
        ]

    async def linked(session: AsyncSession, event: Received[PersonLinked]) -> None:
        await linking.repoint(session, event.data.from_person_id, event.data.to_person_id)

    return [
        Consumer(name="procedures.decisions", service="procedures", handlers={RecordDecided: decided}),
        Consumer(name="procedures.my-numbers", service="procedures", handlers={MyNumbersDeposited: deposited}),
        Consumer(name="procedures.persons", service="procedures", handlers={PersonLinked: linked}),
    ]


def _flag(application: Application, flag: Flag) -> None:
    """Mark an application for a clerk; the same mark twice is one."""
    if flag in application.flags:
        return
    application.version += 1
    application.flags = [*application.flags, flag.value]
    log.warning("decision_crossed", application_id=str(application.id), flag=flag.value)


async def _locked(session: AsyncSession, application_id: UUID) -> Application | None:
    query = select(Application).where(Application.id == application_id).with_for_update()
    return (await session.execute(query)).scalar_one_or_none()
