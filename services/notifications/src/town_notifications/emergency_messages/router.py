"""Emergency messages over HTTP: preview, send, follow, take back."""

from uuid import UUID

from fastapi import Response

from town_kit.auth import STAFF
from town_kit.problems import NotFound, PreconditionFailed, StateConflict
from town_kit.routing import Actor, Audit, Begin, ExpectedVersion, TownRouter, Tx, etag
from town_notifications.deliveries import counts_of_emergency
from town_notifications.emergency_messages import repository, service
from town_notifications.emergency_messages.domain import Status
from town_notifications.emergency_messages.errors import PreviewOutdated
from town_notifications.emergency_messages.models import EmergencyMessage
from town_notifications.emergency_messages.schemas import (
    EmergencyContent,
    EmergencyRequest,
    EmergencyView,
    PreviewView,
)
from town_notifications.languages import Language
from town_notifications.ports import Wired
from town_notifications.recipients import AudienceCount, counts

BASIS = "災害対策基本法56条"

router = TownRouter(prefix="/v1/emergency-messages", tags=["緊急情報"])


@router.post(
    "/preview",
    scope="emergency-messages:send",
    roles=(STAFF,),
    audit=Audit("emergency-message.preview", basis=BASIS, purpose="緊急情報の配信の準備"),
    keyless="a preview changes nothing",
)
async def preview_emergency_message(body: EmergencyContent, begin: Begin, wired: Wired) -> PreviewView:
    """配信の前に、届く文と届く先の数を確かめる。何も送りません。"""
    async with wired.database.begin() as session:  # the counts look past row security; no row leaves
        devices, addresses, persons = await counts(session)
    await begin()  # for the audit record
    content = body.content()
    return PreviewView(
        content_digest=content.digest,
        status=body.status,
        live=body.status is Status.ACTUAL,
        audience=AudienceCount(devices=devices, addresses=addresses, persons=persons),
        texts={code.value: dict(content.texts.get(code.value, content.texts[Language.JA])) for code in Language},
    )


@router.post(
    "",
    scope="emergency-messages:send",
    roles=(STAFF,),
    audit=Audit("emergency-message.send", basis=BASIS, purpose="緊急情報の配信"),
    problems=(PreviewOutdated,),
    two_factors=True,
    status_code=202,
)
async def send_emergency_message(
    body: EmergencyRequest, tx: Tx, actor: Actor, wired: Wired, response: Response
) -> EmergencyView:
    """緊急情報を配信する。確認した内容（confirmed_digest）だけを送ります。訓練と試験は誰にも届きません。"""
    message = service.confirm(tx, body.content(), actor, confirmed_digest=body.confirmed_digest, at=wired.clock.now())
    response.headers["Location"] = f"/v1/emergency-messages/{message.id}"
    return _answer(message, [], response)


@router.get(
    "/{emergency_message_id}",
    scope="emergency-messages:read",
    roles=(STAFF,),
    audit=Audit("emergency-message.read", basis=BASIS, purpose="緊急情報の配信状況の確認"),
    problems=(NotFound,),
)
async def read_emergency_message(emergency_message_id: UUID, tx: Tx, response: Response) -> EmergencyView:
    """配信の進みぐあいを見る。方法と状態ごとの件数が分かります。"""
    message = await repository.one(tx, emergency_message_id)
    return _answer(message, await counts_of_emergency(tx, message.id), response)


@router.post(
    "/{emergency_message_id}/cancel",
    scope="emergency-messages:send",
    roles=(STAFF,),
    audit=Audit("emergency-message.cancel", basis=BASIS, purpose="緊急情報の訂正と取消し"),
    problems=(NotFound, StateConflict, PreconditionFailed, PreviewOutdated),
    two_factors=True,
    status_code=202,
    if_match=True,
)
async def cancel_emergency_message(
    emergency_message_id: UUID,
    body: EmergencyRequest,
    tx: Tx,
    actor: Actor,
    wired: Wired,
    version: ExpectedVersion,
    response: Response,
) -> EmergencyView:
    """緊急情報を取り消す。まだ送っていない分を止め、訂正の文を全員に配信します。返るのは訂正の緊急情報です。"""
    correction = await service.cancel(
        tx,
        emergency_message_id,
        body.content(),
        actor,
        confirmed_digest=body.confirmed_digest,
        expected_version=version,
        at=wired.clock.now(),
    )
    response.headers["Location"] = f"/v1/emergency-messages/{correction.id}"
    return _answer(correction, [], response)


def _answer(message: EmergencyMessage, counts: list[tuple[str, str, int]], response: Response) -> EmergencyView:
    response.headers["ETag"] = etag(message.version)
    return EmergencyView.of(message, counts)
