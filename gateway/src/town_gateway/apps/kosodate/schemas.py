"""Wire models of the 子育て app: few words, ready to be shown."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from town_kit.schemas import Output


class MyApplication(Output):
    """わたしの申請。"""

    id: UUID
    reference: str = Field(description="控え番号")
    title: str = Field(description="手続きの名前")
    state: str
    label: str = Field(description="いまの状態")
    next_step: str = Field(description="つぎに起きること")
    expected_on: date | None = Field(description="結果が出る見込みの日")
    expected_label: str | None = Field(description="見込みの日（令和…年…月…日ごろ）")
    received_at: datetime


class Step(Output):
    """経過の一段。"""

    label: str
    at: datetime
    at_label: str = Field(description="日本時間での日時")


class ApplicationStory(Output):
    """ひとつの申請と、その経過。"""

    application: MyApplication
    timeline: list[Step]


class InboxEntry(Output):
    """お知らせ。町からのことばと、申請の動きが新しい順に並びます。"""

    kind: str = Field(description="message（お知らせ）または application（申請の動き）")
    title: str
    text: str
    at: datetime
    application_id: UUID | None
