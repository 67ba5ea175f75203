"""Wire models of emergency messages."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from town_kit.schemas import FreeText, Input, Int, Output
from town_notifications.emergency_messages.domain import LABELS, Content, State, Status
from town_notifications.emergency_messages.models import EmergencyMessage
from town_notifications.languages import Language
from town_notifications.recipients import AudienceCount

Title = Annotated[FreeText, Field(min_length=1, max_length=80, pattern=r"^[^\r\n]+$")]
Body = Annotated[FreeText, Field(min_length=1, max_length=1000)]


class EmergencyText(Input):
    """緊急情報の文。"""

    title: Title
    body: Body


class EmergencyContent(Input):
    """緊急情報の内容。日本語は必ず、やさしい日本語と英語はできれば書きます。"""

    texts: dict[Language, EmergencyText] = Field(description="言語ごとの文。ja は必須")
    status: Status = Field(description="actual（実際）, exercise（訓練）, test（試験）。訓練と試験は誰にも届きません")
    valid_hours: Int = Field(ge=1, le=72, description="有効時間（時間）")

    @model_validator(mode="after")
    def _speaks_japanese(self) -> "EmergencyContent":
        if Language.JA not in self.texts:
            raise ValueError("日本語の文を書いてください。")
        return self

    def content(self) -> Content:
        """What is to be sent, as the use case takes it."""
        texts = {language.value: text.model_dump() for language, text in self.texts.items()}
        return Content(texts, self.status, self.valid_hours)


class EmergencyRequest(EmergencyContent):
    """緊急情報の配信。"""

    confirmed_digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="確認画面（preview）の content_digest")


class PreviewView(Output):
    """配信の前の確認。"""

    content_digest: str = Field(description="配信するときに confirmed_digest に付ける値")
    status: Status
    live: bool = Field(description="true のとき、配信すると実際に届きます")
    audience: AudienceCount
    texts: dict[str, dict[str, str]] = Field(description="言語ごとに届く文。書かれていない言語には日本語が届きます")


class DeliveryCount(Output):
    """方法と状態ごとの件数。withheld は訓練で送らなかった件数。"""

    channel: str
    state: str
    count: int


class EmergencyView(Output):
    """緊急情報とその進みぐあい。"""

    id: UUID
    reference: str
    status: Status
    state: State
    state_label: str
    created_at: datetime
    valid_until: datetime
    cancelled_at: datetime | None
    follows: UUID | None = Field(description="取り消した緊急情報")
    persons: int = Field(description="配信した人数")
    deliveries: list[DeliveryCount]
    version: int

    @classmethod
    def of(cls, row: EmergencyMessage, counts: list[tuple[str, str, int]]) -> "EmergencyView":
        """The view of a row and of its deliveries' counts."""
        withheld = [(channel, "withheld", count) for channel, count in sorted(row.withheld.items())]
        return cls(
            id=row.id,
            reference=row.reference,
            status=Status(row.status),
            state=State(row.state),
            state_label=LABELS[State(row.state)],
            created_at=row.created_at,
            valid_until=row.valid_until,
            cancelled_at=row.cancelled_at,
            follows=row.follows,
            persons=row.persons,
            deliveries=[DeliveryCount(channel=c, state=s, count=n) for c, s, n in [*counts, *withheld]],
            version=row.version,
        )
