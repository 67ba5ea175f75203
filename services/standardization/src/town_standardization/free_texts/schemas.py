"""Wire models of free texts."""

from uuid import UUID

from pydantic import Field

from town_kit.schemas import Input, Output


class ReadRequest(Input):
    """自由記述の確認。根拠と利用目的は監査記録に残ります。"""

    application_id: UUID = Field(description="申請の識別子")
    legal_basis: str = Field(min_length=1, max_length=100, description="根拠法令")
    purpose: str = Field(min_length=1, max_length=100, description="利用目的（事務の名称）")


class FreeText(Output):
    """一つの自由記述。個人番号らしい数字は下4桁だけを示します。"""

    pointer: str = Field(description="回答の中の場所")
    text: str


class FreeTexts(Output):
    """個人番号らしい数字があったため、保管庫で預かっている自由記述。"""

    application_id: UUID
    texts: list[FreeText]
