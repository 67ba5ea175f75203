"""HTTP to use cases and back."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import Response
from pydantic import Field

from town_identity.ports import Ports, Wired, act_as_service
from town_identity.staff_sessions import StaffDirectory, service
from town_kit.auth import STAFF
from town_kit.problems import DependencyUnavailable, InsufficientScope, InvalidToken, StateConflict
from town_kit.routing import Audit, Begin, TownRouter
from town_kit.schemas import Input, Output

router = TownRouter(tags=["職員ログイン"])


class AuthorizationView(Output):
    """職員認証システムへの行き先。"""

    authorization_url: str = Field(description="ブラウザーで開く URL")
    state: str = Field(description="戻ってきたときの state と同じか確かめてください")
    expires_at: datetime


class StaffLoginRequest(Input):
    """職員認証システムから戻った値。"""

    code: str = Field(min_length=1, max_length=2048)
    state: str = Field(min_length=1, max_length=200)


class StaffSessionView(Output):
    """職員のログインの結果。"""

    account_id: UUID
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="アクセストークンの残り秒数")
    scope: str


@router.post(
    "/v1/staff-authorizations",
    scope=None,
    keyless="a sign-in that nobody finishes changes nothing",
    problems=(DependencyUnavailable,),
    status_code=201,
    max_body=4096,
)
async def begin_staff_session(begin: Begin, wired: Wired) -> AuthorizationView:
    """職員ログインを始める（OpenID Connect、PKCE）。"""
    beginning = service.new_beginning()
    url = await _directory(wired).authorization_url(
        state=beginning.state, nonce=beginning.nonce, verifier=beginning.verifier
    )
    tx = await begin()
    await act_as_service(tx)
    expires_at = service.remember(tx, wired.sealer, beginning, wired.clock.now())
    return AuthorizationView(authorization_url=url, state=beginning.state, expires_at=expires_at)


@router.post(
    "/v1/staff-sessions",
    scope=None,
    audit=Audit("staff.log-in", basis="個人情報保護法66条", purpose="職員認証"),
    keyless="a code can be redeemed once",
    problems=(StateConflict, InvalidToken, InsufficientScope, DependencyUnavailable),
    status_code=201,
    max_body=8192,
)
async def create_staff_session(
    body: StaffLoginRequest, begin: Begin, wired: Wired, response: Response
) -> StaffSessionView:
    """職員としてログインする。二要素で認証していない人は利用できません。"""
    directory = _directory(wired)
    beginning = await service.redeem(wired.database, wired.sealer, body.state, wired.clock.now())
    identity = await directory.redeem(code=body.code, nonce=beginning.nonce, verifier=beginning.verifier)
    scopes = wired.scopes.of_staff(identity.groups)
    if len(set(identity.amr)) < 2:
        raise InsufficientScope("二要素認証でログインし直してください。")
    if not scopes:
        raise InsufficientScope("必要な権限を管理者に確認してください。")
    tx = await begin()
    await act_as_service(tx)
    account = await service.account_of(tx, directory.issuer, identity, wired.clock.now())
    issued = wired.tokens.issue(
        subject=account.id,
        role=STAFF,
        client_id="staff",
        scopes=scopes,
        seconds=wired.settings.staff_token_seconds,
        amr=identity.amr,
    )
    response.headers["Cache-Control"] = "no-store"
    return StaffSessionView(
        account_id=account.id,
        access_token=issued.token,
        token_type="Bearer",  # noqa: S106 - the name of a scheme
        expires_in=issued.expires_in,
        scope=issued.scope,
    )


def _directory(wired: Ports) -> StaffDirectory:
    if wired.staff is None:
        raise DependencyUnavailable(
            "職員認証システムが設定されていません。システム担当に連絡してください。", retry_after=60
        )
    return wired.staff
