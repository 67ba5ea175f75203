"""Wire models of the intake door."""

from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from town_kit.schemas import Input, Int, Output
from town_procedures.intake.service import Outcome

Pointer = Annotated[str, Field(max_length=200, pattern=r"^(/[^/]+)+$")]
Jwe = Annotated[str, Field(max_length=20_000, pattern=r"^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$")]
Base64Cms = Annotated[str, Field(max_length=90_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class IntakeAnswer(Output):
    """受け取った結果。どの結果でも、データは保存されています。"""

    outcome: Literal["received", "pending", "quarantined", "already-received"]
    application_id: UUID | None
    quarantined_package_id: UUID | None
    reason: str | None = Field(description="隔離した理由コード")

    @classmethod
    def of(cls, outcome: Outcome) -> "IntakeAnswer":
        """The view of an outcome."""
        return cls(**asdict(outcome))


class SealedNumberRequest(Input):
    """金庫だけが読める個人番号と、その場所。"""

    pointer: Pointer = Field(description="回答の中の場所（JSON Pointer）")
    role: str = Field(pattern=r"^[a-z_]{1,40}$")
    jwe: Jwe


class DigestsRequest(Input):
    """署名された本文のハッシュ値（16進）。"""

    sha256: Sha256
    sha384: str = Field(pattern=r"^[0-9a-f]{96}$")


class ReleasedDocument(Input):
    """原本の中の添付書類。"""

    kind: str = Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")
    media_type: str = Field(max_length=100)
    size: Int = Field(ge=0)
    sha256: Sha256


class ReleasedRequest(Input):
    """隔離を解除した申請データの中身。個人番号は暗号化してあります。"""

    released_id: UUID = Field(description="隔離された申請データの識別子")
    procedure_code: str = Field(max_length=20, description="手続コード")
    answers: dict[str, Any] = Field(description="個人番号を除いた回答")
    my_numbers: list[SealedNumberRequest] = Field([], max_length=100)
    digests: DigestsRequest
    cms: Base64Cms | None = Field(None, description="CMS 署名（Base64）")
    documents: list[ReleasedDocument] = Field([], max_length=50)
