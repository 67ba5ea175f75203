"""Use cases on an application that exists: accept, decide, complete, withdraw, and what other services tell us."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal, Role
from town_kit.messaging import outbox
from town_kit.writing import touch
from town_procedures.applications import repository
from town_procedures.applications.domain import Decider, State
from town_procedures.applications.errors import DecidedByCoreSystem, SameOfficer
from town_procedures.applications.models import Application

SYSTEM = Role.SERVICE.value


async def advance(
    session: AsyncSession,
    application: Application,
    to: State,
    *,
    at: datetime,
    actor_role: str,
    actor_id: UUID | None,
    reason_code: str | None = None,
    **facts: Any,
) -> Application:
    """One move: state, transition row, event; all in the caller's transaction."""
    event = application.advance(to, at=at, actor_role=actor_role, actor_id=actor_id, reason_code=reason_code, **facts)
    session.add(application.new_transition)
    outbox.add(session, event, application)
    touch(session, subjects=persons(application), fields=("state",))
    return application


def persons(application: Application) -> list[UUID]:
    """The known persons among the parties; the subjects of an audit record."""
    return [UUID(p["person_id"]) for p in application.party_refs if p["person_id"]]


async def accept(
    session: AsyncSession, application_id: UUID, officer: Principal, *, expected_version: int | None, at: datetime
) -> Application:
    """受付 (行政手続法7条): review may begin; the core system or a clerk takes over."""
    application = await repository.locked(session, application_id, officer, expected_version=expected_version)
    return await advance(
        session, application, State.ACCEPTED, at=at, actor_role=officer.role.value, actor_id=officer.id
    )


async def decide(
    session: AsyncSession,
    application_id: UUID,
    officer: Principal,
    *,
    to: State,
    reason_code: str | None,
    expected_version: int | None,
    at: datetime,
) -> Application:
    """決定: approve or reject, where the folder says that staff decide.

    Raises:
        DecidedByCoreSystem: the core system decides this procedure.
        SameOfficer: a draft needs another officer's approval (決裁).
    """
    application = await repository.locked(session, application_id, officer, expected_version=expected_version)
    if application.decided_by != Decider.STAFF:
        raise DecidedByCoreSystem("基幹業務システムで決定を入力してください。結果は自動で反映されます。")
    if application.drafted_by == officer.id:
        raise SameOfficer("決裁は起案した人とは別の職員が行ってください。")
    return await settle(
        session, application, to, reason_code, at=at, actor_role=officer.role.value, actor_id=officer.id
    )


async def settle(
    session: AsyncSession,
    application: Application,
    to: State,
    reason_code: str | None,
    *,
    at: datetime,
    actor_role: str,
    actor_id: UUID | None,
) -> Application:
    """Write a decision down, whoever made it."""
    application.decision = to.value
    application.reason_code = reason_code
    return await advance(
        session, application, to, at=at, actor_role=actor_role, actor_id=actor_id, reason_code=reason_code
    )


async def complete(
    session: AsyncSession, application_id: UUID, officer: Principal, *, expected_version: int | None, at: datetime
) -> Application:
    """完了: the decision has been carried out and notified."""
    application = await repository.locked(session, application_id, officer, expected_version=expected_version)
    return await advance(
        session, application, State.COMPLETED, at=at, actor_role=officer.role.value, actor_id=officer.id
    )


async def withdraw(
    session: AsyncSession, application_id: UUID, principal: Principal, *, expected_version: int | None, at: datetime
) -> Application:
    """取下げ by a party, or by a clerk on her word."""
    application = await repository.locked(session, application_id, principal, expected_version=expected_version)
    by = "resident" if principal.role is Role.RESIDENT else "staff"
    return await advance(
        session,
        application,
        State.WITHDRAWN,
        at=at,
        actor_role=principal.role.value,
        actor_id=principal.id,
        by=by,
    )
