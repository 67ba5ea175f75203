"""Wire models of applications."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from town_kit.schemas import Bool, Input, Moment, Output
from town_procedures.applications.domain import LABELS, NEXT_STEPS, Channel, PartyRole, State
from town_procedures.applications.models import Application, ApplicationDocument, ApplicationTransition
from town_procedures.applications.prepare import Filing
from town_procedures.applications.submit import Party

Base64 = Annotated[str, Field(max_length=16_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
ReasonCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$", description="理由コード")]


class PartyRequest(Input):
    """当事者 (窓口で職員が入力する)."""

    role: PartyRole = Field(description="申請者・対象者・代理人・世帯員")
    person_id: UUID | None = Field(None, description="本人確認済みの人の識別子。未確認なら null")
    protected: Bool = Field(False, description="支援措置の対象（住所を表示しない）")


class AttachmentRequest(Input):
    """アップロード済みの添付書類。"""

    id: UUID = Field(description="アップロードの識別子")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="ファイルの SHA-256")


class SubmitRequest(Input):
    """申請の提出。"""

    procedure_code: str = Field(max_length=20, description="手続コード")
    answers: dict[str, Any] = Field(description="様式の項目ごとの回答")
    attachments: list[AttachmentRequest] = Field([], max_length=20, description="アップロード済みの添付書類")
    signature: Base64 | None = Field(None, description="署名用電子証明書による CMS 署名（Base64）")
    channel: Channel | None = Field(None, description="受付の経路（職員のみ）")
    parties: list[PartyRequest] = Field([], max_length=20, description="当事者（職員のみ）")
    received_at: Moment | None = Field(None, description="到達の日時（紙は受付印。先の日時は不可。職員のみ）")

    def filing(self) -> Filing:
        """What it says, for the use case."""
        return Filing(
            procedure_code=self.procedure_code,
            answers=self.answers,
            attachments={attachment.id: attachment.sha256 for attachment in self.attachments},
            signature=self.signature,
            channel=self.channel,
            parties=[Party(p.role, p.person_id, p.protected) for p in self.parties],
            received_at=self.received_at,
        )


class DecideRequest(Input):
    """決定（起案では決定の案）。却下には理由コードが必要です。"""

    decision: Literal["approved", "rejected"] = Field(description="承認または却下")
    reason_code: ReasonCode | None = Field(None, description="却下の理由コード")


class ApplicationView(Output):
    """申請。回答に個人番号は含まれません。"""

    id: UUID
    reference: str
    procedure_code: str
    procedure_version: str
    channel: str
    receipt_no: str | None
    receipt_number: str | None
    state: str
    state_label: str
    next_step: str
    state_since: datetime = Field(description="いまの状態になった日時")
    received_at: datetime
    expected_on: date | None
    decision: str | None
    reason_code: str | None
    flags: list[str]
    version: int

    @classmethod
    def of(cls, application: Application) -> "ApplicationView":
        """The view of an application."""
        state = State(application.state)
        return cls.model_construct(
            id=application.id,
            reference=application.reference,
            procedure_code=application.procedure_code,
            procedure_version=application.procedure_version,
            channel=application.channel,
            receipt_no=application.receipt_no,
            receipt_number=application.receipt_number,
            state=state.value,
            state_label=LABELS[state],
            next_step=NEXT_STEPS[state],
            state_since=application.state_since,
            received_at=application.received_at,
            expected_on=application.due_on,
            decision=application.decision,
            reason_code=application.reason_code,
            flags=list(application.flags),
            version=application.version,
        )


class PartyView(Output):
    """当事者。"""

    role: str
    person_id: UUID | None


class DocumentView(Output):
    """添付書類。"""

    id: UUID
    kind: str = Field(description="書類の種類（手続の attachments にある名前）")
    media_type: str
    size: int

    @classmethod
    def of(cls, document: ApplicationDocument) -> "DocumentView":
        """The view of a file."""
        return cls(id=document.id, kind=document.kind, media_type=document.media_type, size=document.size)


class DraftView(Output):
    """起案。決裁を待つ決定の案です。"""

    decision: str
    reason_code: str | None
    drafted_by: UUID = Field(description="起案した職員")

    @classmethod
    def of(cls, application: Application) -> "DraftView | None":
        """The draft that waits, where there is one."""
        if application.drafted_decision is None or application.drafted_by is None:
            return None
        return cls(
            decision=application.drafted_decision,
            reason_code=application.drafted_reason_code,
            drafted_by=application.drafted_by,
        )


class ApplicationDetail(Output):
    """申請の内容。支援措置の対象者がいるときは、住所を含む回答を示しません。"""

    application: ApplicationView
    parties: list[PartyView]
    answers: dict[str, Any]
    documents: list[DocumentView]
    address_hidden: bool
    draft: DraftView | None = Field(description="起案。職員にだけ示します")


class TransitionView(Output):
    """経過の一段。"""

    sequence: int
    state: str
    state_label: str
    at: datetime
    by: str
    reason_code: str | None

    @classmethod
    def of(cls, transition: ApplicationTransition) -> "TransitionView":
        """The view of a move; who made it is told as a role, never as a name."""
        return cls(
            sequence=transition.sequence,
            state=transition.to_state,
            state_label=LABELS[State(transition.to_state)],
            at=transition.at,
            by=transition.actor_role,
            reason_code=transition.reason_code,
        )
