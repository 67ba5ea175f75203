"""Use cases on an application that exists: accept, draft, decide, complete, withdraw."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal, Role
from town_kit.jp import BusinessDays
from town_kit.messaging import outbox
from town_kit.writing import touch
from town_procedures.applications import repository
from town_procedures.applications.domain import Actor, Decider, State
from town_procedures.applications.errors import DecidedByCoreSystem
from town_procedures.applications.events import ApplicationEvent
from town_procedures.applications.models import Application

SYSTEM = Actor(Role.SERVICE.value)
CORE = Actor(Decider.CORE.value)


async def advance(
    session: AsyncSession,
    application: Application,
    to: State,
    *,
    at: datetime,
    by: Actor,
    calendar: BusinessDays,
    reason_code: str | None = None,
) -> Application:
    """One move: state, transition row, event; all in the caller's transaction."""
    event = application.advance(to, at=at, by=by, calendar=calendar, reason_code=reason_code)
    return _told(session, application, event)


def _told(session: AsyncSession, application: Application, event: ApplicationEvent) -> Application:
    session.add(application.new_transition)
    outbox.add(session, event, application)
    touch(session, subjects=persons(application), fields=("state",))
    return application


def persons(application: Application) -> list[UUID]:
    """The known persons among the parties; the subjects of an audit record."""
    return [UUID(p["person_id"]) for p in application.party_refs if p["person_id"]]


def _actor(principal: Principal) -> Actor:
    return Actor(principal.role.value, principal.id)


async def accept(
    session: AsyncSession,
    application_id: UUID,
    officer: Principal,
    *,
    expected_version: int | None,
    at: datetime,
    calendar: BusinessDays,
) -> Application:
    """受付 (行政手続法7条): review may begin; the core system or a clerk takes over."""
    application = await repository.locked(session, application_id, officer, expected_version=expected_version)
    return await advance(session, application, State.ACCEPTED, at=at, by=_actor(officer), calendar=calendar)


async def draft(
    session: AsyncSession,
    application_id: UUID,
    officer: Principal,
    *,
    to: State,
    reason_code: str | None,
    expected_version: int | None,
    at: datetime,
    calendar: BusinessDays,
) -> Application:
    """起案: propose a decision for another officer's 決裁.

    Raises:
        DecidedByCoreSystem: the core system decides this procedure.
    """
    application = await _decidable(session, application_id, officer, expected_version)
    event = application.draft(to, reason_code, at=at, by=_actor(officer), calendar=calendar)
    return _told(session, application, event)


async def decide(
    session: AsyncSession,
    application_id: UUID,
    officer: Principal,
    *,
    to: State,
    reason_code: str | None,
    expected_version: int | None,
    at: datetime,
    calendar: BusinessDays,
) -> Application:
    """決定: approve or reject, where the folder says that staff decide.

    Raises:
        DecidedByCoreSystem: the core system decides this procedure.
        DraftMissing: the folder asks for two people, and nobody has drafted.
        SameOfficer, DraftDiffers: a draft needs another officer's approval (決裁) as it stands.
    """
    application = await _decidable(session, application_id, officer, expected_version)
    event = application.decide(to, reason_code, at=at, by=_actor(officer), calendar=calendar)
    return _told(session, application, event)


async def _decidable(
    session: AsyncSession, application_id: UUID, officer: Principal, expected_version: int | None
) -> Application:
    application = await repository.locked(session, application_id, officer, expected_version=expected_version)
    if application.decided_by != Decider.STAFF:
        raise DecidedByCoreSystem("基幹業務システムで決定を入力してください。結果は自動で反映されます。")
    return application


async def complete(
    session: AsyncSession,
    application_id: UUID,
    officer: Principal,
    *,
    expected_version: int | None,
    at: datetime,
    calendar: BusinessDays,
) -> Application:
    """完了: the decision has been carried out and notified."""
    application = await repository.locked(session, application_id, officer, expected_version=expected_version)
    return await advance(session, application, State.COMPLETED, at=at, by=_actor(officer), calendar=calendar)


async def withdraw(
    session: AsyncSession,
    application_id: UUID,
    principal: Principal,
    *,
    expected_version: int | None,
    at: datetime,
    calendar: BusinessDays,
) -> Application:
    """取下げ by a party, or by a clerk on her word; a draft is no decision yet."""
    application = await repository.locked(session, application_id, principal, expected_version=expected_version)
    return await advance(session, application, State.WITHDRAWN, at=at, by=_actor(principal), calendar=calendar)
