"""Wire models of 封印アカウント."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from town_identity.sealed_staff_accounts.domain import Purpose
from town_kit.schemas import FreeText, Input, Output


class SealedLoginRequest(Input):
    """二つの封筒の内容と、開封の理由。"""

    username: str = Field(min_length=1, max_length=40, description="封筒 1 のユーザー名")
    password: str = Field(min_length=1, max_length=80, description="封筒 1 のパスワード（ハイフンはなくてもよい）")
    code: str = Field(pattern=r"^[0-9]{6}$", description="封筒 2 で登録した認証アプリの 6 桁の番号")
    purpose: Purpose = Field(description="何の事務のために開封したか")
    reason: FreeText = Field(min_length=5, description="開封の理由。住民の氏名などは書かないでください")


class SealedSessionView(Output):
    """封印アカウントでのログインの結果。更新用トークンはありません。"""

    use_id: UUID = Field(description="開封の記録。あとで確認を受けます")
    account_id: UUID
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="アクセストークンの残り秒数")
    scope: str
    usable_until: datetime = Field(description="この時刻までは同じ封筒でログインし直せます。その後は封印し直します")
