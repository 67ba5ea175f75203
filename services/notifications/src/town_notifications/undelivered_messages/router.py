"""The letter list and the phone list over HTTP."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from town_kit.auth import STAFF
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import NotFound, PreconditionFailed, StateConflict
from town_kit.routing import Actor, Audit, ExpectedVersion, TownRouter, Tx, etag
from town_kit.schemas import Page
from town_kit.writing import touch
from town_notifications.messages import ListName, Message, list_page
from town_notifications.ports import Wired
from town_notifications.undelivered_messages import csv_file, service
from town_notifications.undelivered_messages.schemas import HandleRequest, UndeliveredView

BASIS = "個人情報の保護に関する法律69条"
FILE_ROWS = 5000

router = TownRouter(prefix="/v1/undelivered-messages", tags=["未達のお知らせ"])

List = Annotated[ListName, Query(alias="list", description="letters（郵送）または phone（電話）")]
Day = Annotated[date | None, Query(description="掲載日（日本時間）。省くとすべての日")]


@router.get(
    "",
    scope="undelivered-messages:read",
    roles=(STAFF,),
    audit=Audit("undelivered-message.list", basis=BASIS, purpose="届かなかったお知らせの郵送と電話"),
)
async def list_undelivered(
    tx: Tx,
    actor: Actor,
    list_name: List,
    day: Day = None,
    handled: bool = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[UndeliveredView]:
    """どの方法でも届かなかったお知らせ（古い順）。本人が読んだものは自動で外れます。"""
    rows = await list_page(
        tx,
        actor,
        list_name=list_name,
        listed_on=day,
        handled=handled,
        after=decode(cursor, datetime, UUID),
        limit=limit,
    )
    shown = rows[:limit]
    _touch(tx, shown)
    following = encode([shown[-1].listed_at, shown[-1].id]) if len(rows) > limit and shown[-1].listed_at else None
    return Page(items=[UndeliveredView.of(row) for row in shown], next_cursor=following)


@router.get(
    "/file",
    scope="undelivered-messages:read",
    roles=(STAFF,),
    audit=Audit("undelivered-message.export", basis=BASIS, purpose="届かなかったお知らせの郵送と電話"),
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "CSV（UTF-8、BOM 付き）"}},
)
async def download_undelivered(tx: Tx, actor: Actor, list_name: List, day: Day = None) -> Response:
    """まだ対応していない分を CSV でまとめて受け取る（5,000 件まで）。"""
    rows = await list_page(tx, actor, list_name=list_name, listed_on=day, handled=False, after=None, limit=FILE_ROWS)
    shown = rows[:FILE_ROWS]
    _touch(tx, shown)
    name = f"undelivered-{list_name.value}.csv"
    return Response(
        csv_file.write(shown),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@router.post(
    "/{message_id}/handle",
    scope="undelivered-messages:handle",
    roles=(STAFF,),
    audit=Audit("undelivered-message.handle", basis=BASIS, purpose="届かなかったお知らせの処理の記録"),
    problems=(NotFound, StateConflict, PreconditionFailed),
    if_match=True,
)
async def handle_undelivered(
    message_id: UUID,
    body: HandleRequest,
    tx: Tx,
    actor: Actor,
    wired: Wired,
    version: ExpectedVersion,
    response: Response,
) -> UndeliveredView:
    """対応済みにする。誰がいつ何をしたかが残ります。"""
    message = await service.handle(
        tx, message_id, body.handling, body.note, actor, expected_version=version, at=wired.clock.now()
    )
    _touch(tx, [message])
    response.headers["ETag"] = etag(message.version)
    return UndeliveredView.of(message)


def _touch(tx: Tx, messages: list[Message]) -> None:
    touch(tx, subjects=[m.person_id for m in messages if m.person_id], fields=("messages",))
