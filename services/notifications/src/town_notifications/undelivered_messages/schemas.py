"""Wire models of the lists."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from town_kit.schemas import FreeText, Input, Output
from town_notifications.messages import Handling, ListName, Message


class UndeliveredView(Output):
    """どの方法でも届かなかったお知らせ。"""

    id: UUID
    list_name: ListName = Field(description="letters（郵送）または phone（電話）")
    reason: str = Field(description="no_channel（方法がない）, all_failed（すべて失敗）, expiring（期限が近い）")
    listed_on: date
    listed_at: datetime
    person_id: UUID | None
    reference: str | None
    procedure_code: str | None
    application_id: UUID | None
    kind: str
    title: str
    body: str
    valid_until: datetime
    handling: str | None
    handled_at: datetime | None
    handled_by: UUID | None
    version: int = Field(description="対応済みにするとき If-Match に付ける番号")

    @classmethod
    def of(cls, message: Message) -> "UndeliveredView":
        """The view of a message on a list."""
        assert message.list_name is not None
        assert message.listed_on is not None
        assert message.listed_at is not None
        return cls(
            id=message.id,
            list_name=ListName(message.list_name),
            reason=message.list_reason or "",
            listed_on=message.listed_on,
            listed_at=message.listed_at,
            person_id=message.person_id,
            reference=message.reference,
            procedure_code=message.procedure_code,
            application_id=message.application_id,
            kind=message.kind,
            title=message.title,
            body=message.body,
            valid_until=message.valid_until,
            handling=message.handling,
            handled_at=message.handled_at,
            handled_by=message.handled_by,
            version=message.version,
        )


class HandleRequest(Input):
    """対応の結果。"""

    handling: Handling = Field(description="posted（郵送）, phoned（電話）, visited（訪問）, unnecessary（不要）")
    note: FreeText | None = Field(description="覚え書き。個人番号は書かないでください")
