"""Every query of quarantined packages; staff and the town's own services see them, nobody else."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, false, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal, Role
from town_kit.problems import NotFound, PreconditionFailed
from town_procedures.quarantined_packages.models import QuarantinedPackage


def visible_to(principal: Principal) -> Select[QuarantinedPackage]:
    """What a principal may see."""
    query = select(QuarantinedPackage)
    return query if principal.role in {Role.STAFF, Role.SERVICE} else query.where(false())


async def one(session: AsyncSession, package_id: UUID, principal: Principal) -> QuarantinedPackage:
    """A quarantined package to read.

    Raises:
        NotFound: there is none, or the principal may not see it.
    """
    query = visible_to(principal).where(QuarantinedPackage.id == package_id)
    return _found((await session.execute(query)).scalar_one_or_none())


async def locked(
    session: AsyncSession, package_id: UUID, principal: Principal, *, expected_version: int | None
) -> QuarantinedPackage:
    """A quarantined package to change; its row stays locked until the commit.

    Raises:
        NotFound: there is none, or the principal may not see it.
        PreconditionFailed: it has another version than the caller decided on.
    """
    query = visible_to(principal).where(QuarantinedPackage.id == package_id).with_for_update()
    found = _found((await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none())
    if expected_version is not None and found.version != expected_version:
        raise PreconditionFailed("ほかの人が更新しました。画面を読み直してから操作してください。")
    return found


def _found(row: QuarantinedPackage | None) -> QuarantinedPackage:
    if row is None:
        raise NotFound("隔離された申請データが見つかりません。番号を確認してください。")
    return row


async def of_raw_package(session: AsyncSession, raw_package_id: UUID) -> QuarantinedPackage | None:
    """What became of a raw package that was quarantined, locked."""
    query = select(QuarantinedPackage).where(QuarantinedPackage.raw_package_id == raw_package_id)
    return (await session.execute(query.with_for_update())).scalar_one_or_none()


async def page(
    session: AsyncSession,
    principal: Principal,
    *,
    after: tuple[Any, ...] | None,
    limit: int,
    state: str,
    reason: str | None,
) -> list[QuarantinedPackage]:
    """Up to ``limit + 1`` packages, newest first, behind the row ``after`` (quarantined_at, id)."""
    query = visible_to(principal).where(QuarantinedPackage.state == state)
    if reason is not None:
        query = query.where(QuarantinedPackage.reason == reason)
    if after is not None:
        query = query.where(tuple_(QuarantinedPackage.quarantined_at, QuarantinedPackage.id) < after)
    query = query.order_by(QuarantinedPackage.quarantined_at.desc(), QuarantinedPackage.id.desc())
    return list((await session.execute(query.limit(limit + 1))).scalars())
