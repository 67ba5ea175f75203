"""HTTP to use cases and back."""

from fastapi import Response

from town_identity.ports import Wired, act_as_service
from town_identity.sealed_staff_accounts import repository, service
from town_identity.sealed_staff_accounts.errors import SealedStaffAccountClosed, SealedStaffAccountLocked
from town_identity.sealed_staff_accounts.schemas import SealedLoginRequest, SealedSessionView
from town_kit.auth import STAFF
from town_kit.problems import InvalidToken, RateLimited, StateConflict
from town_kit.routing import Audit, Begin, TownRouter

router = TownRouter(tags=["職員ログイン"])


@router.post(
    "/v1/sealed-staff-sessions",
    scope=None,
    audit=Audit("sealed-staff-account.log-in", basis=service.BASIS, purpose="職員認証"),
    keyless="a code of the second factor signs in once",
    problems=(SealedStaffAccountClosed, SealedStaffAccountLocked, RateLimited, InvalidToken, StateConflict),
    status_code=201,
    max_body=8192,
)
async def create_sealed_staff_session(
    body: SealedLoginRequest, begin: Begin, wired: Wired, response: Response
) -> SealedSessionView:
    """封印アカウントで職員としてログインする。職員認証システムが止まっている間だけ使えます。"""
    opened = await service.open_envelope(wired, body.username, body.password, body.code, body.purpose, body.reason)
    tx = await begin()
    await act_as_service(tx)
    await repository.issued(tx, opened.use_id, wired.clock.now())
    token = wired.tokens.issue(
        subject=opened.account_id,
        role=STAFF,
        client_id=service.CLIENT_ID,
        scopes=opened.scopes,
        seconds=wired.settings.sealed_token_seconds,
        amr=service.AMR,
    )
    response.headers["Cache-Control"] = "no-store"
    return SealedSessionView(
        use_id=opened.use_id,
        account_id=opened.account_id,
        access_token=token.token,
        token_type="Bearer",  # noqa: S106 - the name of a scheme
        expires_in=token.expires_in,
        scope=token.scope,
        usable_until=opened.usable_until,
    )
