"""The app API of the 子育て app; scopes are those of the services behind it, which check them again."""

from uuid import UUID

from fastapi import Request, Response

from town_gateway.apps.kosodate import service
from town_gateway.apps.kosodate.schemas import (
    ApplicationStory,
    Challenge,
    ChallengeRequest,
    InboxEntry,
    MyApplication,
    Session,
    SignInRequest,
    taken,
)
from town_gateway.apps.neighbours import ask, ask_all, pass_on
from town_gateway.ports import Wired
from town_kit.auth import RESIDENT
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit
from town_kit.problems import (
    DependencyUnavailable,
    DuplicateMember,
    MalformedRequest,
    PayloadTooLarge,
    StateConflict,
    UnsupportedMedia,
    ValidationFailed,
)
from town_kit.routing import TownRouter
from town_kit.schemas import Page

router = TownRouter(prefix="/apps/kosodate/v1", tags=["子育てアプリ"])
UNREADABLE = (MalformedRequest, DuplicateMember, ValidationFailed, PayloadTooLarge, UnsupportedMedia)
UNAUTHENTICATED = {
    "description": "電子署名または電子証明書を確認できません（`type` で理由が分かります）",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


@router.post(
    "/login-challenges",
    scope=None,
    keyless="a challenge that nobody answers changes nothing",
    problems=(*UNREADABLE, DependencyUnavailable),
    status_code=201,
    responses={201: {"model": Challenge}},
    openapi_extra=taken(ChallengeRequest),
)
async def ask_for_challenge(request: Request, wired: Wired) -> Response:
    """ログインの準備をする。マイナンバーカード（利用者証明用）で署名するための一度きりの値が返ります。"""
    return await pass_on(wired.services["identity"], "POST", "/v1/login-challenges", request)


@router.post(
    "/sessions",
    scope=None,
    keyless="a challenge can be redeemed once",
    problems=(*UNREADABLE, StateConflict, DependencyUnavailable),
    status_code=201,
    responses={201: {"model": Session}, 401: UNAUTHENTICATED},
    openapi_extra=taken(SignInRequest),
)
async def sign_in(request: Request, wired: Wired) -> Response:
    """ログインする。署名を確かめ、この端末用のアクセストークンと更新用トークンが返ります。"""
    return await pass_on(wired.services["identity"], "POST", "/v1/resident-sessions", request)


@router.get("/applications", scope="applications:read", roles=(RESIDENT,), problems=(DependencyUnavailable,))
async def list_my_applications(
    request: Request, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[MyApplication]:
    """わたしの申請の一覧。いまの状態、つぎに起きること、結果が出る見込みの日が分かります。"""
    procedures = wired.services["procedures"]
    page, catalogue = await ask_all(
        ask(procedures, "/v1/applications", request, limit=limit, cursor=cursor),
        ask(procedures, "/v1/procedures", request),
    )
    names = service.titles(catalogue)
    items = [service.my_application(item, names) for item in page["items"]]
    return Page(items=items, next_cursor=page["next_cursor"])


@router.get(
    "/applications/{application_id}", scope="applications:read", roles=(RESIDENT,), problems=(DependencyUnavailable,)
)
async def read_my_application(application_id: UUID, request: Request, wired: Wired) -> ApplicationStory:
    """ひとつの申請と、その経過を見る。"""
    procedures = wired.services["procedures"]
    path = f"/v1/applications/{application_id}"
    application, moves, catalogue = await ask_all(
        ask(procedures, path, request),
        ask(procedures, f"{path}/timeline", request),
        ask(procedures, "/v1/procedures", request),
    )
    names = service.titles(catalogue)
    return ApplicationStory(
        application=service.my_application(application, names), timeline=[service.step(move) for move in moves]
    )


@router.get("/inbox", scope="applications:read", roles=(RESIDENT,), problems=(DependencyUnavailable,))
async def read_inbox(request: Request, wired: Wired, limit: Limit = DEFAULT_LIMIT) -> list[InboxEntry]:
    """お知らせ。町からのお知らせと申請の動きを、新しい順に見ます。"""
    procedures = wired.services["procedures"]
    page, catalogue, messages = await ask_all(
        ask(procedures, "/v1/applications", request, limit=limit),
        ask(procedures, "/v1/procedures", request),
        ask(wired.services["notifications"], "/v1/messages", request, limit=limit),
    )
    names = service.titles(catalogue)
    applications = [service.my_application(item, names) for item in page["items"]]
    entries = service.newest_first(
        map(service.from_message, messages["items"]), map(service.from_application, applications)
    )
    return entries[:limit]
