"""The inbox of the app over HTTP."""

from uuid import UUID

from town_kit.auth import RESIDENT
from town_kit.pagination import DEFAULT_LIMIT, Cursor, Limit, decode, encode
from town_kit.problems import NotFound
from town_kit.routing import Actor, Audit, TownRouter, Tx
from town_kit.schemas import Page
from town_kit.writing import touch
from town_notifications.messages import repository, service
from town_notifications.messages.schemas import MessageView
from town_notifications.ports import Wired

BASIS = "個人情報の保護に関する法律69条"

router = TownRouter(prefix="/v1/messages", tags=["お知らせ"])


@router.get(
    "",
    scope="messages:read",
    roles=(RESIDENT,),
    audit=Audit("message.list", basis=BASIS, purpose="本人によるお知らせの閲覧"),
)
async def list_messages(
    tx: Tx, actor: Actor, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None, unread: bool = False
) -> Page[MessageView]:
    """わたしへのお知らせ（新しい順）。unread=true で未読だけになります。"""
    last = decode(cursor, int)
    rows = await repository.inbox(tx, actor, after=last[0] if last else None, limit=limit, unread=unread)
    shown = rows[:limit]
    touch(tx, subjects=[actor.id], fields=("messages",))
    following = encode([shown[-1].position]) if len(rows) > limit else None
    return Page(items=[MessageView.of(row) for row in shown], next_cursor=following)


@router.get(
    "/{message_id}",
    scope="messages:read",
    roles=(RESIDENT,),
    audit=Audit("message.read", basis=BASIS, purpose="本人によるお知らせの閲覧"),
    problems=(NotFound,),
)
async def read_message(message_id: UUID, tx: Tx, actor: Actor) -> MessageView:
    """お知らせを見る。既読にはなりません。"""
    touch(tx, subjects=[actor.id], fields=("messages",))
    return MessageView.of(await repository.one(tx, message_id, actor))


@router.post(
    "/{message_id}/read",
    scope="messages:read",
    roles=(RESIDENT,),
    audit=Audit("message.mark-read", basis=BASIS, purpose="お知らせが届いたことの記録"),
    problems=(NotFound,),
)
async def mark_read(message_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> MessageView:
    """既読にする。読んだお知らせは届いたものとして扱い、郵送や電話の一覧から外れます。"""
    message = await repository.one(tx, message_id, actor, lock=True)
    service.read(tx, message, at=wired.clock.now())
    touch(tx, subjects=[actor.id], fields=("messages",))
    return MessageView.of(message)
