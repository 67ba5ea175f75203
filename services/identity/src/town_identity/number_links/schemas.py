"""Wire models of the 番号紐付 file."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import Field

from town_identity.number_links.models import NumberLink
from town_kit.schemas import Output


class LineErrorView(Output):
    """使えない行。内容は示しません。"""

    line: int = Field(description="ファイルの行番号")
    code: Literal["addressee-number", "serial", "purpose", "generation", "validity", "two-numbers", "other-person"] = (
        Field(description="理由")
    )


class NumberLinkView(Output):
    """番号紐付ファイルの取込み。"""

    id: UUID
    state: Literal["previewed", "applied"] = Field(description="確認中、または適用済み")
    uploaded_at: datetime
    applied_at: datetime | None
    lines: int = Field(description="行数")
    persons_registered: int = Field(description="新しく登録される人")
    persons_named: int = Field(description="仮登録から本登録になる人")
    persons_linked: int = Field(description="別の人と同じと分かる仮登録の人")
    certificates_added: int = Field(description="新しい証明書")
    unchanged: int = Field(description="変わらない行")
    errors: int = Field(description="使えない行の数")
    listed_errors: list[LineErrorView] = Field(description="使えない行（200件まで）")

    @classmethod
    def of(cls, found: NumberLink) -> Self:
        """The view of an import."""
        return cls.model_validate(
            {
                "id": found.id,
                "state": found.state,
                "uploaded_at": found.uploaded_at,
                "applied_at": found.applied_at,
                **found.summary,
            }
        )
