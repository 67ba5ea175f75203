"""Wire models of devices, contact points and preferences."""

from datetime import datetime, time
from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from town_kit.schemas import Bool, Input, Output
from town_notifications.languages import Language
from town_notifications.recipients.domain import ContactPointState, Platform, QuietHours, Wishes
from town_notifications.recipients.models import ContactPoint, Device, Preference


class DeviceRequest(Input):
    """プッシュ通知を受け取る端末。"""

    push_token: str = Field(min_length=1, max_length=4096, pattern=r"^[\x21-\x7e]+$", description="FCM の登録トークン")
    platform: Platform
    app: Literal["kosodate", "anamizu_info"] = Field(description="アプリ")


class DeviceView(Output):
    """登録した端末。トークンは表示しません。"""

    id: UUID
    app: str
    platform: str
    registered_at: datetime

    @classmethod
    def of(cls, device: Device) -> "DeviceView":
        """The view of a row."""
        return cls(id=device.id, app=device.app, platform=device.platform, registered_at=device.registered_at)


class ContactPointRequest(Input):
    """メールアドレス。"""

    address: str = Field(min_length=3, max_length=254)


class ConfirmRequest(Input):
    """メールで届いた確認コード。"""

    code: str = Field(pattern=r"^[0-9]{6}$")


class ContactPointView(Output):
    """連絡先。確認が済むまで、確認コードのほかは送りません。"""

    id: UUID
    address: str
    state: ContactPointState
    registered_at: datetime
    confirmed_at: datetime | None
    attempts_left: int = Field(description="確認コードを入力できる残りの回数")

    @classmethod
    def of(cls, point: ContactPoint, *, attempts_left: int) -> "ContactPointView":
        """The view of a row."""
        return cls(
            id=point.id,
            address=point.address,
            state=ContactPointState(point.state),
            registered_at=point.registered_at,
            confirmed_at=point.confirmed_at,
            attempts_left=attempts_left,
        )


class PreferenceRequest(Input):
    """お知らせの受け取り方。緊急情報は、この設定にかかわらず届きます。"""

    language: Language
    push: Bool = Field(description="プッシュ通知を受け取る")
    email: Bool = Field(description="メールを受け取る")
    quiet_from: time | None = Field(description="受け取らない時間の始まり（日本時間、時:分）")
    quiet_until: time | None = Field(description="受け取らない時間の終わり（日本時間、時:分）")

    @model_validator(mode="after")
    def _quiet_hours_have_two_ends(self) -> "PreferenceRequest":
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("受け取らない時間は、始まりと終わりの両方を入力してください。")
        if self.quiet_from is not None and self.quiet_from == self.quiet_until:
            raise ValueError("受け取らない時間の始まりと終わりには、違う時刻を入力してください。")
        return self

    def wishes(self) -> Wishes:
        """What the person wants, as the use case takes it."""
        quiet = None
        if self.quiet_from is not None and self.quiet_until is not None:
            quiet = QuietHours(self.quiet_from.replace(tzinfo=None), self.quiet_until.replace(tzinfo=None))
        return Wishes(self.language, self.push, self.email, quiet)


class PreferenceView(Output):
    """お知らせの受け取り方。"""

    language: Language
    push: bool
    email: bool
    quiet_from: str | None
    quiet_until: str | None
    version: int = Field(description="更新するとき If-Match に付ける番号。まだ設定していないときは 0")

    @classmethod
    def of(cls, row: Preference | None) -> "PreferenceView":
        """The view of a row, or of the defaults."""
        if row is None:
            return cls(language=Language.JA, push=True, email=True, quiet_from=None, quiet_until=None, version=0)
        return cls(
            language=Language(row.language),
            push=row.push,
            email=row.email,
            quiet_from=row.quiet_from.strftime("%H:%M") if row.quiet_from else None,
            quiet_until=row.quiet_until.strftime("%H:%M") if row.quiet_until else None,
            version=row.version,
        )


class AudienceCount(Output):
    """緊急情報が届く先の数。"""

    devices: int = Field(description="プッシュ通知の端末")
    addresses: int = Field(description="確認済みのメールアドレス")
    persons: int = Field(description="人数")
