"""Wire models of hand-overs."""

from datetime import datetime
from typing import Self
from uuid import UUID

from town_kit.schemas import Output
from town_standardization.hand_overs.models import PendingHandOver


class HandOverReason(Output):
    """保留の理由。項目と内容だけで、値は示しません。"""

    field: str
    code: str
    message: str


class HandOverView(Output):
    """標準レコードになる前の申請。"""

    application_id: UUID
    business_id: str
    procedure_code: str
    reference: str
    state: str
    attempts: int
    accepted_at: datetime
    reasons: list[HandOverReason]

    @classmethod
    def of(cls, row: PendingHandOver) -> Self:
        """The wire form of a row."""
        return cls(
            application_id=row.id,
            business_id=row.business_id,
            procedure_code=row.procedure_code,
            reference=row.reference,
            state=row.state,
            attempts=row.attempts,
            accepted_at=row.accepted_at,
            reasons=[HandOverReason.model_validate(one) for one in row.wrong],
        )
