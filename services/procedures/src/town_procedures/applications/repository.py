"""Every query of applications; what a principal may see is part of the query, for get, list and count alike."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal, Role
from town_kit.problems import NotFound, PreconditionFailed
from town_procedures.applications.models import (
    Application,
    ApplicationDocument,
    ApplicationParty,
    ApplicationTransition,
)


def visible_to(principal: Principal) -> Select[Application]:
    """What a principal may see: a resident what she is a party of, staff and services all, vendors nothing."""
    query = select(Application)
    if principal.role is Role.RESIDENT:
        mine = select(ApplicationParty.application_id).where(ApplicationParty.person_id == principal.id)
        return query.where(Application.id.in_(mine))
    return query if principal.role in {Role.STAFF, Role.SERVICE} else query.where(false())


async def one(session: AsyncSession, application_id: UUID, principal: Principal) -> Application:
    """An application to read.

    Raises:
        NotFound: there is none, or the principal may not see it.
    """
    found = (await session.execute(visible_to(principal).where(Application.id == application_id))).scalar_one_or_none()
    if found is None:
        raise NotFound("申請が見つかりません。番号を確認してください。")
    return found


async def locked(
    session: AsyncSession, application_id: UUID, principal: Principal, *, expected_version: int | None
) -> Application:
    """An application to change; its row stays locked until the commit.

    Raises:
        NotFound: there is none, or the principal may not see it.
        PreconditionFailed: it has another version than the caller decided on.
    """
    query = visible_to(principal).where(Application.id == application_id).with_for_update()
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("申請が見つかりません。番号を確認してください。")
    if expected_version is not None and found.version != expected_version:
        raise PreconditionFailed("ほかの人が更新しました。画面を読み直してから操作してください。")
    return found


async def page(
    session: AsyncSession,
    principal: Principal,
    *,
    after: tuple[Any, ...] | None,
    limit: int,
    state: str | None = None,
    procedure_code: str | None = None,
    open_states: Sequence[str] | None = None,
) -> list[Application]:
    """Up to ``limit + 1`` applications, newest first, behind the row ``after`` (received_at, id)."""
    query = visible_to(principal)
    if state is not None:
        query = query.where(Application.state == state)
    if procedure_code is not None:
        query = query.where(Application.procedure_code == procedure_code)
    if open_states is not None:
        query = query.where(Application.state.in_(open_states))
    if after is not None:
        received_at, last_id = after
        older = and_(Application.received_at == received_at, Application.id < last_id)
        query = query.where(or_(Application.received_at < received_at, older))
    query = query.order_by(Application.received_at.desc(), Application.id.desc()).limit(limit + 1)
    return list((await session.execute(query)).scalars())


async def timeline(session: AsyncSession, application_id: UUID) -> list[ApplicationTransition]:
    """The moves of an application, in order."""
    query = (
        select(ApplicationTransition)
        .where(ApplicationTransition.application_id == application_id)
        .order_by(ApplicationTransition.sequence)
    )
    return list((await session.execute(query)).scalars())


async def documents(session: AsyncSession, application_id: UUID) -> list[ApplicationDocument]:
    """The files of an application."""
    query = select(ApplicationDocument).where(ApplicationDocument.application_id == application_id)
    return list((await session.execute(query.order_by(ApplicationDocument.id))).scalars())


async def by_receipt(session: AsyncSession, source: str, receipt_no: str) -> Application | None:
    """The application that came under a portal's receipt number (受付番号), locked."""
    query = select(Application).where(Application.source == source, Application.receipt_no == receipt_no)
    return (await session.execute(query.with_for_update())).scalar_one_or_none()
