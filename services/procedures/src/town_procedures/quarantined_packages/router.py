"""Quarantined packages over HTTP; what a release will do stands in the view before anyone presses the button."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from town_kit.auth import STAFF
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import PreconditionFailed, StateConflict
from town_kit.routing import Actor, Audit, ExpectedVersion, TownRouter, Tx, etag
from town_kit.schemas import Page
from town_procedures.ports import Wired
from town_procedures.quarantined_packages import repository, service
from town_procedures.quarantined_packages.domain import State
from town_procedures.quarantined_packages.models import QuarantinedPackage
from town_procedures.quarantined_packages.schemas import DiscardRequest, QuarantinedPackageView

router = TownRouter(prefix="/v1/quarantined-packages", tags=["隔離"])
Reason = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9-]{1,40}$", description="理由コード")]


@router.get(
    "",
    scope="quarantined-packages:read",
    roles=(STAFF,),
    audit=Audit("quarantined-package.list", basis="行政手続法7条", purpose="隔離された申請データの確認"),
)
async def list_quarantined_packages(
    tx: Tx,
    actor: Actor,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    state: State = State.QUARANTINED,
    reason: Reason = None,
) -> Page[QuarantinedPackageView]:
    """隔離された申請データの一覧（新しい順）。理由で絞り込めます。"""
    after = decode(cursor, datetime, UUID)
    rows = await repository.page(tx, actor, after=after, limit=limit, state=state.value, reason=reason)
    shown = rows[:limit]
    following = encode([shown[-1].quarantined_at, shown[-1].id]) if len(rows) > limit else None
    return Page(items=[QuarantinedPackageView.of(row) for row in shown], next_cursor=following)


@router.get(
    "/{package_id}",
    scope="quarantined-packages:read",
    roles=(STAFF,),
    audit=Audit("quarantined-package.read", basis="行政手続法7条", purpose="隔離された申請データの確認"),
)
async def read_quarantined_package(
    package_id: UUID, tx: Tx, actor: Actor, response: Response
) -> QuarantinedPackageView:
    """何が起きたか、次にすること、解除すると何をするかを見る。"""
    return _answer(await repository.one(tx, package_id, actor), response)


@router.post(
    "/{package_id}/release",
    scope="quarantined-packages:release",
    roles=(STAFF,),
    audit=Audit("quarantined-package.release", basis="行政手続法7条", purpose="隔離された申請データの再受付"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def release_quarantined_package(
    package_id: UUID, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> QuarantinedPackageView:
    """隔離を解除し、もう一度受け付ける。原因が残っていれば、また隔離されます。"""
    package = await service.release(tx, package_id, actor, expected_version=version, at=wired.clock.now())
    return _answer(package, response)


@router.post(
    "/{package_id}/discard",
    scope="quarantined-packages:release",
    roles=(STAFF,),
    audit=Audit("quarantined-package.discard", basis="行政手続法7条", purpose="隔離された申請データの破棄"),
    problems=(StateConflict, PreconditionFailed),
    if_match=True,
)
async def discard_quarantined_package(
    package_id: UUID,
    body: DiscardRequest,
    tx: Tx,
    actor: Actor,
    wired: Wired,
    version: ExpectedVersion,
    response: Response,
) -> QuarantinedPackageView:
    """破棄する。申請にはならず、原本は証拠として残ります。"""
    package = await service.discard(
        tx, package_id, actor, note=body.note, expected_version=version, at=wired.clock.now()
    )
    return _answer(package, response)


def _answer(package: QuarantinedPackage, response: Response) -> QuarantinedPackageView:
    response.headers["ETag"] = etag(package.version)
    return QuarantinedPackageView.of(package)
