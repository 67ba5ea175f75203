"""Devices, contact points and preferences over HTTP; each person sees and changes her own only."""

from uuid import UUID

from fastapi import Response

from town_kit.auth import RESIDENT
from town_kit.problems import NotFound, PreconditionFailed, StateConflict
from town_kit.routing import Actor, Audit, ExpectedVersion, TownRouter, Tx, etag
from town_kit.writing import touch
from town_notifications.ports import Wired
from town_notifications.recipients import repository, service
from town_notifications.recipients.errors import TooManyRegistrations
from town_notifications.recipients.models import ContactPoint
from town_notifications.recipients.schemas import (
    ConfirmRequest,
    ContactPointRequest,
    ContactPointView,
    DeviceRequest,
    DeviceView,
    PreferenceRequest,
    PreferenceView,
)

BASIS = "本人の同意（個人情報の保護に関する法律69条2項1号）"

devices = TownRouter(prefix="/v1/devices", tags=["端末"])
contact_points = TownRouter(prefix="/v1/contact-points", tags=["連絡先"])
preferences = TownRouter(prefix="/v1/preferences", tags=["受け取り方"])


@devices.post(
    "",
    scope="devices:write",
    roles=(RESIDENT,),
    audit=Audit("device.register", basis=BASIS, purpose="プッシュ通知を受け取る端末の登録"),
    problems=(TooManyRegistrations,),
    status_code=201,
)
async def register_device(body: DeviceRequest, tx: Tx, actor: Actor, wired: Wired) -> DeviceView:
    """端末を登録する。同じトークンの登録は新しい人に移ります。"""
    device = await service.register_device(
        tx, actor, app=body.app, platform=body.platform, push_token=body.push_token, at=wired.clock.now()
    )
    return DeviceView.of(device)


@devices.get(
    "",
    scope="devices:read",
    roles=(RESIDENT,),
    audit=Audit("device.list", basis=BASIS, purpose="本人による通知先の確認"),
)
async def list_devices(tx: Tx, actor: Actor) -> list[DeviceView]:
    """登録した端末の一覧。"""
    touch(tx, subjects=[actor.id], fields=("devices",))
    return [DeviceView.of(device) for device in await repository.devices_of(tx, actor)]


@devices.delete(
    "/{device_id}",
    scope="devices:write",
    roles=(RESIDENT,),
    audit=Audit("device.remove", basis=BASIS, purpose="プッシュ通知を受け取る端末の削除"),
    problems=(NotFound,),
    status_code=204,
)
async def remove_device(device_id: UUID, tx: Tx, actor: Actor) -> None:
    """端末の登録を消す。"""
    await service.remove_device(tx, actor, device_id)


@contact_points.post(
    "",
    scope="contact-points:write",
    roles=(RESIDENT,),
    audit=Audit("contact-point.register", basis=BASIS, purpose="お知らせを受け取るメールアドレスの登録"),
    problems=(TooManyRegistrations,),
    status_code=201,
)
async def register_contact_point(body: ContactPointRequest, tx: Tx, actor: Actor, wired: Wired) -> ContactPointView:
    """メールアドレスを登録する。確認コードがメールで届きます。"""
    return _view(await service.register_address(tx, actor, body.address, at=wired.clock.now()))


@contact_points.get(
    "",
    scope="contact-points:read",
    roles=(RESIDENT,),
    audit=Audit("contact-point.list", basis=BASIS, purpose="本人による通知先の確認"),
)
async def list_contact_points(tx: Tx, actor: Actor) -> list[ContactPointView]:
    """登録した連絡先の一覧。"""
    touch(tx, subjects=[actor.id], fields=("contact_points",))
    return [_view(point) for point in await repository.contact_points_of(tx, actor)]


@contact_points.post(
    "/{contact_point_id}/confirm",
    scope="contact-points:write",
    roles=(RESIDENT,),
    audit=Audit("contact-point.confirm", basis=BASIS, purpose="メールアドレスの到達確認"),
    problems=(NotFound, StateConflict),
)
async def confirm_contact_point(
    contact_point_id: UUID, body: ConfirmRequest, tx: Tx, actor: Actor, wired: Wired
) -> ContactPointView:
    """確認コードを確かめる。違うときは state が pending のままで、残りの回数が減ります。"""
    point = await service.confirm_address(
        tx, actor, contact_point_id, body.code, key=wired.code_key, at=wired.clock.now()
    )
    return _view(point)


@contact_points.post(
    "/{contact_point_id}/send-code",
    scope="contact-points:write",
    roles=(RESIDENT,),
    audit=Audit("contact-point.send-code", basis=BASIS, purpose="メールアドレスの到達確認"),
    problems=(NotFound, StateConflict, TooManyRegistrations),
)
async def send_another_code(contact_point_id: UUID, tx: Tx, actor: Actor, wired: Wired) -> ContactPointView:
    """確認コードを送り直す。前のコードは使えなくなります。"""
    return _view(await service.send_another_code(tx, actor, contact_point_id, at=wired.clock.now()))


@contact_points.delete(
    "/{contact_point_id}",
    scope="contact-points:write",
    roles=(RESIDENT,),
    audit=Audit("contact-point.remove", basis=BASIS, purpose="お知らせを受け取るメールアドレスの削除"),
    problems=(NotFound,),
    status_code=204,
)
async def remove_contact_point(contact_point_id: UUID, tx: Tx, actor: Actor) -> None:
    """連絡先を消す。"""
    await service.remove_address(tx, actor, contact_point_id)


@preferences.get(
    "",
    scope="preferences:read",
    roles=(RESIDENT,),
    audit=Audit("preference.read", basis=BASIS, purpose="本人による通知の受け取り方の確認"),
)
async def read_preferences(tx: Tx, actor: Actor, response: Response) -> PreferenceView:
    """お知らせの受け取り方を見る。"""
    touch(tx, subjects=[actor.id], fields=("preferences",))
    view = PreferenceView.of(await repository.preference(tx, actor))
    response.headers["ETag"] = etag(view.version)
    return view


@preferences.put(
    "",
    scope="preferences:write",
    roles=(RESIDENT,),
    audit=Audit("preference.set", basis=BASIS, purpose="通知の受け取り方の設定"),
    problems=(PreconditionFailed,),
    if_match=True,
)
async def set_preferences(
    body: PreferenceRequest, tx: Tx, actor: Actor, wired: Wired, version: ExpectedVersion, response: Response
) -> PreferenceView:
    """お知らせの受け取り方を決める。緊急情報はいつでも届きます。"""
    row = await service.prefer(tx, actor, body.wishes(), expected_version=version, at=wired.clock.now())
    response.headers["ETag"] = etag(row.version)
    return PreferenceView.of(row)


def _view(point: ContactPoint) -> ContactPointView:
    return ContactPointView.of(point, attempts_left=service.attempts_left(point))
