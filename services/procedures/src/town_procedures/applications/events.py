"""What is told about an application: ids and facts, never a name, an address or a My Number."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from town_kit.messaging.event import Event


class PartyRef(BaseModel):
    """A party of an application: its role, and the person where one is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    person_id: UUID | None


class ApplicationEvent(Event):
    """Common to all: which application, of which procedure, in which state, for whom.

    ``client_id`` is the app through which a resident filed it; null for the portal's and the counter's.
    """

    TOPIC: ClassVar[str] = "procedures.applications"

    application_id: UUID
    reference: str
    procedure_code: str
    procedure_version: str
    business_id: str
    channel: str
    client_id: str | None
    receipt_no: str | None
    state: str
    status_sequence: int
    received_at: datetime
    due_on: str | None
    parties: tuple[PartyRef, ...]


class ApplicationSubmitted(ApplicationEvent):
    """到達: an application has reached the town."""

    TYPE: ClassVar[str] = "town.procedures.application.submitted.v1"


class ApplicationPendingVerification(ApplicationEvent):
    """署名確認待ち: kept, but the revocation of its certificate could not be checked yet."""

    TYPE: ClassVar[str] = "town.procedures.application.pending_verification.v1"


class ApplicationVerified(ApplicationEvent):
    """署名確認済: the certificate was good at the moment of receipt."""

    TYPE: ClassVar[str] = "town.procedures.application.verified.v1"


class ApplicationAccepted(ApplicationEvent):
    """受付: a clerk or the folder's rule has accepted it for review."""

    TYPE: ClassVar[str] = "town.procedures.application.accepted.v1"


class ApplicationNumbered(ApplicationEvent):
    """収受: it has its number of the 年度."""

    TYPE: ClassVar[str] = "town.procedures.application.numbered.v1"

    receipt_number: str


class ApplicationReviewStarted(ApplicationEvent):
    """審査開始."""

    TYPE: ClassVar[str] = "town.procedures.application.review_started.v1"


class ApplicationCorrectionRequested(ApplicationEvent):
    """補正依頼 (行政手続法7条): the clock of the processing period stops."""

    TYPE: ClassVar[str] = "town.procedures.application.correction_requested.v1"


class ApplicationCorrectionReceived(ApplicationEvent):
    """補正受付: the clock runs again."""

    TYPE: ClassVar[str] = "town.procedures.application.correction_received.v1"


class ApplicationRevised(ApplicationEvent):
    """差替: other content took the place of what others may hold a copy of; ``revision`` counts the contents."""

    TYPE: ClassVar[str] = "town.procedures.application.revised.v1"

    revision: int


class ApplicationPostponed(ApplicationEvent):
    """延期通知: the expected date has moved."""

    TYPE: ClassVar[str] = "town.procedures.application.postponed.v1"


class ApplicationDrafted(ApplicationEvent):
    """起案: a decision is proposed and waits for another person's approval (決裁)."""

    TYPE: ClassVar[str] = "town.procedures.application.drafted.v1"


class ApplicationApproved(ApplicationEvent):
    """承認."""

    TYPE: ClassVar[str] = "town.procedures.application.approved.v1"


class ApplicationRejected(ApplicationEvent):
    """却下, with the code of its reason."""

    TYPE: ClassVar[str] = "town.procedures.application.rejected.v1"

    reason_code: str


class ApplicationDecisionRevised(ApplicationEvent):
    """決定の変更: another decision stands now; ``reason_code`` is that of a rejection."""

    TYPE: ClassVar[str] = "town.procedures.application.decision_revised.v1"

    reason_code: str | None


class ApplicationDecisionRevoked(ApplicationEvent):
    """決定の取消し, with the code of its reason: no decision stands, and the review goes on."""

    TYPE: ClassVar[str] = "town.procedures.application.decision_revoked.v1"

    reason_code: str


class ApplicationWithdrawn(ApplicationEvent):
    """取下げ."""

    TYPE: ClassVar[str] = "town.procedures.application.withdrawn.v1"

    by: Literal["resident", "staff"]


class ApplicationCompleted(ApplicationEvent):
    """完了."""

    TYPE: ClassVar[str] = "town.procedures.application.completed.v1"


class ApplicationRepublished(ApplicationEvent):
    """いまの状態: nothing happened; told again for a consumer that comes late."""

    TYPE: ClassVar[str] = "town.procedures.application.republished.v1"

    state_since: datetime
    receipt_number: str | None
    decision: str | None
    reason_code: str | None


PUBLISHED: tuple[type[ApplicationEvent], ...] = (
    ApplicationSubmitted,
    ApplicationPendingVerification,
    ApplicationVerified,
    ApplicationAccepted,
    ApplicationNumbered,
    ApplicationReviewStarted,
    ApplicationCorrectionRequested,
    ApplicationCorrectionReceived,
    ApplicationRevised,
    ApplicationPostponed,
    ApplicationDrafted,
    ApplicationApproved,
    ApplicationRejected,
    ApplicationDecisionRevised,
    ApplicationDecisionRevoked,
    ApplicationWithdrawn,
    ApplicationCompleted,
    ApplicationRepublished,
)
