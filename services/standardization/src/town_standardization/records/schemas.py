"""Wire models of 庁内データ連携."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from town_kit.schemas import Input, Int, Output
from town_standardization.records.models import Record
from town_standardization.records.service import Result

Key = Annotated[str, Field(min_length=1, max_length=64, description="レコードのキー")]
HistoryNumber = Annotated[Int, Field(ge=1, le=999, description="履歴番号")]


class RecordView(Output):
    """標準レコード。項目は業務ごとの項目定義のとおり。"""

    key: str
    history_number: int
    operated_at: datetime = Field(description="操作年月日・操作時刻")
    withdrawn: bool = Field(
        description="取下げ。true のとき、このキーの申請は取り下げられました。審査を止め、決定を送らないでください。"
        "record は取下げの前の内容です（この形は公開の仕様になく、町が決めたもの。source: ours）"
    )
    record: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> Self:
        """The wire form of a record; the same record gives the same bytes."""
        return cls(
            key=record.key,
            history_number=record.history_number,
            operated_at=record.operated_at,
            withdrawn=record.withdrawn,
            record=record.content,
        )


class RecordPage(Output):
    """標準レコードのまとまり。next_cursor を次の要求に付けると続きから取得できます。"""

    records: list[RecordView]
    next_cursor: str | None


class RecordName(Input):
    """キーと履歴番号。"""

    key: Key
    history_number: HistoryNumber


class AcknowledgeRequest(Input):
    """受領の連絡。"""

    acknowledgements: list[RecordName] = Field(min_length=1, max_length=500)


class Acknowledged(Output):
    """受領の記録。noted は今回はじめて受領になった件数。"""

    noted: int


class ResultRequest(Input):
    """基幹業務システムの決定。"""

    result_id: str = Field(min_length=8, max_length=128, description="決定の識別子。同じ決定の送り直しでは同じ値")
    key: Key
    history_number: HistoryNumber
    decision: Literal["approved", "rejected"]
    reason_code: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]{0,63}$", description="却下の理由のコード")
    decided_on: date
    amount_yen: Annotated[Int, Field(ge=0, le=9_999_999)] | None = Field(None, description="決定した額（円）")
    valid_from: date | None = Field(None, description="効力の始まり")
    valid_to: date | None = Field(None, description="効力の終わり")

    @model_validator(mode="after")
    def _reason_with_rejection(self) -> Self:
        if (self.decision == "rejected") != (self.reason_code is not None):
            raise ValueError("却下には理由のコードを付け、承認には付けないでください。")
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("効力の終わりが始まりより前です。日付を確認してください。")
        return self

    def result(self) -> Result:
        """The result without the record's name."""
        return Result(
            result_id=self.result_id,
            decision=self.decision,
            reason_code=self.reason_code,
            decided_on=self.decided_on,
            amount_yen=self.amount_yen,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
        )


class ResultView(Output):
    """受け取った決定。"""

    key: str
    history_number: int
    decision: str
    reason_code: str | None
    decided_on: date
