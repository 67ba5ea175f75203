"""Every query of applications; what a principal may see is part of the query, for get, list and count alike."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, bindparam, false, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from town_kit.auth import Principal, Role
from town_kit.problems import NotFound, PreconditionFailed
from town_procedures.applications.domain import OPEN, State
from town_procedures.applications.models import (
    Application,
    ApplicationDocument,
    ApplicationParty,
    ApplicationTransition,
)

# Written out, not bound: that is how PostgreSQL knows the partial index of what is open.
_CLOSED: BindParameter[Any] = bindparam("closed", sorted(frozenset(State) - OPEN), expanding=True, literal_execute=True)
# A list shows none of it, and it is most of a row.
_CONTENT = (Application.answers, Application.my_numbers, Application.signature, Application.content_digest)
_WITHOUT_CONTENT = tuple(defer(column, raiseload=True) for column in _CONTENT)

_LINKS = text("SELECT from_person_id, to_person_id FROM town_person_links(cast(:ids AS uuid[]))")


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
    channel: str | None = None,
    flag: str | None = None,
    due_before: date | None = None,
    only_open: bool = False,
) -> list[Application]:
    """Up to ``limit + 1`` applications, newest first, without their content, behind ``after`` (received_at, id)."""
    query = _newest_first(principal, after).options(*_WITHOUT_CONTENT)
    if state is not None:
        query = query.where(Application.state == state)
    if procedure_code is not None:
        query = query.where(Application.procedure_code == procedure_code)
    if channel is not None:
        query = query.where(Application.channel == channel)
    if flag is not None:
        query = query.where(Application.flags.contains([flag]))
    if due_before is not None:
        query = query.where(Application.due_on < due_before)
    if only_open:
        query = query.where(Application.state.not_in(_CLOSED))
    return list((await session.execute(query.limit(limit + 1))).scalars())


def _newest_first(principal: Principal, after: tuple[Any, ...] | None) -> Select[Application]:
    """What a principal may see in the order of its arrival, behind the row ``after``.

    A resident's page is read off the index of her own parts in applications, which says the same as ``visible_to``:
    however many she has, only the page is looked up. Staff read it off an index of applications.
    """
    if principal.role is not Role.RESIDENT:
        at, key = Application.received_at, Application.id
        query = visible_to(principal).order_by(at.desc(), key.desc())
        return query if after is None else query.where(tuple_(at, key) < after)
    at, key = ApplicationParty.received_at, ApplicationParty.application_id
    parts = select(at, key).where(ApplicationParty.person_id == principal.id)
    if after is not None:
        parts = parts.where(tuple_(at, key) < after)
    mine = parts.distinct().order_by(at.desc(), key.desc()).subquery("mine")
    query = select(Application).join(mine, mine.c.application_id == Application.id)
    return query.order_by(mine.c.received_at.desc(), mine.c.application_id.desc())


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


async def document(session: AsyncSession, application_id: UUID, document_id: UUID) -> ApplicationDocument:
    """A file of an application that the caller was found to see.

    Raises:
        NotFound: the application has none of this id.
    """
    query = select(ApplicationDocument).where(
        ApplicationDocument.application_id == application_id, ApplicationDocument.id == document_id
    )
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("添付書類が見つかりません。申請の画面を読み直してください。")
    return found


async def by_receipt(session: AsyncSession, source: str, receipt_no: str) -> Application | None:
    """The application that came under a portal's receipt number (受付番号), locked."""
    query = select(Application).where(Application.source == source, Application.receipt_no == receipt_no)
    return (await session.execute(query.with_for_update())).scalar_one_or_none()


async def links_of(session: AsyncSession, person_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Which of these persons turned out to be whom (番号紐付); a link told meanwhile waits for this transaction."""
    asked = sorted(person_ids, key=str)
    if not asked:
        return {}
    return {row.from_person_id: row.to_person_id for row in (await session.execute(_LINKS, {"ids": asked})).all()}
