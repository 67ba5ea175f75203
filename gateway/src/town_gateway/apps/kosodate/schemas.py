"""Wire models of the 子育て app: few words, ready to be shown."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from town_kit.schemas import Input, Output


def taken(model: type[BaseModel]) -> dict[str, Any]:
    """The description of a body that is passed on as it came, so that the route itself reads nothing of it."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": model.model_json_schema()}},
        }
    }


class ChallengeRequest(Input):
    """ログインの準備。"""

    client_id: str = Field("resident-app", description="アプリの識別子")


class Challenge(Output):
    """カードで署名する内容。"""

    challenge_id: UUID
    to_be_signed: str = Field(description="利用者証明用電子証明書で署名する内容（Base64）")
    expires_at: datetime = Field(description="この時刻まで、一度だけ使えます")


class SignInRequest(Input):
    """ログインの答え。"""

    challenge_id: UUID
    certificate: str = Field(description="利用者証明用電子証明書（DER を Base64）")
    signature: str = Field(description="署名する内容への署名（Base64）")
    device_name: str = Field("", description="端末の呼び名（例 花子のスマホ）")


class Session(Output):
    """ログインの結果。更新用トークンは一度だけ使え、使うたびに新しくなります。"""

    session_id: UUID
    person_id: UUID
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="アクセストークンの残り秒数")
    scope: str
    refresh_token: str
    refresh_expires_at: datetime


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
    state_since: datetime = Field(description="いまの状態になった日時")
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
