"""States of an application and the moves between them, as data; guard, event and diagram come from one table."""

from datetime import date
from enum import StrEnum

from town_kit.problems import StateConflict
from town_procedures.applications import events as fact


class State(StrEnum):
    """申請の状態 — where an application stands."""

    PENDING_VERIFICATION = "pending_verification"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    IN_REVIEW = "in_review"
    CORRECTION_REQUESTED = "correction_requested"
    DRAFTED = "drafted"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    COMPLETED = "completed"


class Channel(StrEnum):
    """経路 — by which way an application came."""

    MYNAPORTAL = "mynaportal"
    APP = "app"
    COUNTER = "counter"
    PAPER = "paper"
    PHONE = "phone"
    VISIT = "visit"


class PartyRole(StrEnum):
    """当事者の立場 — what a person is to an application."""

    APPLICANT = "applicant"
    SUBJECT = "subject"
    PROXY = "proxy"
    HOUSEHOLD_MEMBER = "household_member"


class Decider(StrEnum):
    """Who decides: the vendor's core system (基幹業務システム) or the town's staff."""

    CORE = "core"
    STAFF = "staff"


LABELS = {
    State.PENDING_VERIFICATION: "署名確認待ち",
    State.SUBMITTED: "到達",
    State.ACCEPTED: "受付済",
    State.IN_REVIEW: "審査中",
    State.CORRECTION_REQUESTED: "補正依頼中",
    State.DRAFTED: "起案済",
    State.APPROVED: "承認",
    State.REJECTED: "却下",
    State.WITHDRAWN: "取下げ",
    State.COMPLETED: "完了",
}

NEXT_STEPS = {
    State.PENDING_VERIFICATION: "電子証明書の有効性を確認しています。お手続きは必要ありません。",
    State.SUBMITTED: "窓口の受付をお待ちください。",
    State.ACCEPTED: "審査の開始をお待ちください。",
    State.IN_REVIEW: "審査の結果をお待ちください。",
    State.CORRECTION_REQUESTED: "お知らせの内容を確認し、期限までに直して送ってください。",
    State.DRAFTED: "決定の通知をお待ちください。",
    State.APPROVED: "決定通知をご確認ください。",
    State.REJECTED: "決定通知で理由をご確認ください。不服があるときは、3か月以内に審査請求ができます。",
    State.WITHDRAWN: "取下げを受け付けました。もう一度申請するときは、新しくお申し込みください。",
    State.COMPLETED: "必要な手続きはすべて終わりました。",
}

# (from, to) → what is told. A pair that does not stand here is refused with 409 state-conflict.
TRANSITIONS: dict[tuple[State | None, State], type[fact.ApplicationEvent]] = {
    (None, State.SUBMITTED): fact.ApplicationSubmitted,
    (None, State.PENDING_VERIFICATION): fact.ApplicationPendingVerification,
    (State.PENDING_VERIFICATION, State.SUBMITTED): fact.ApplicationVerified,
    (State.PENDING_VERIFICATION, State.REJECTED): fact.ApplicationRejected,
    (State.SUBMITTED, State.ACCEPTED): fact.ApplicationAccepted,
    (State.ACCEPTED, State.IN_REVIEW): fact.ApplicationReviewStarted,
    (State.ACCEPTED, State.CORRECTION_REQUESTED): fact.ApplicationCorrectionRequested,
    (State.IN_REVIEW, State.CORRECTION_REQUESTED): fact.ApplicationCorrectionRequested,
    (State.CORRECTION_REQUESTED, State.IN_REVIEW): fact.ApplicationCorrectionReceived,
    (State.ACCEPTED, State.ACCEPTED): fact.ApplicationPostponed,
    (State.IN_REVIEW, State.IN_REVIEW): fact.ApplicationPostponed,
    (State.ACCEPTED, State.DRAFTED): fact.ApplicationDrafted,
    (State.IN_REVIEW, State.DRAFTED): fact.ApplicationDrafted,
    (State.DRAFTED, State.IN_REVIEW): fact.ApplicationReviewStarted,
    (State.DRAFTED, State.APPROVED): fact.ApplicationApproved,
    (State.DRAFTED, State.REJECTED): fact.ApplicationRejected,
    (State.ACCEPTED, State.APPROVED): fact.ApplicationApproved,
    (State.ACCEPTED, State.REJECTED): fact.ApplicationRejected,
    (State.IN_REVIEW, State.APPROVED): fact.ApplicationApproved,
    (State.IN_REVIEW, State.REJECTED): fact.ApplicationRejected,
    (State.APPROVED, State.COMPLETED): fact.ApplicationCompleted,
    (State.REJECTED, State.COMPLETED): fact.ApplicationCompleted,
    (State.APPROVED, State.REJECTED): fact.ApplicationDecisionRevised,
    (State.REJECTED, State.APPROVED): fact.ApplicationDecisionRevised,
    (State.APPROVED, State.IN_REVIEW): fact.ApplicationDecisionRevoked,
    (State.REJECTED, State.IN_REVIEW): fact.ApplicationDecisionRevoked,
    (State.PENDING_VERIFICATION, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.SUBMITTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.ACCEPTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.IN_REVIEW, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.CORRECTION_REQUESTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
}

OPEN = frozenset(State) - {State.WITHDRAWN, State.COMPLETED}


def move(current: State | None, to: State) -> type[fact.ApplicationEvent]:
    """The event of a move.

    Raises:
        StateConflict: the table does not know the move.
    """
    event = TRANSITIONS.get((current, to))
    if event is None:
        now = LABELS[current] if current else "未提出"
        raise StateConflict(f"この申請はいま「{now}」です。画面を読み直してから操作してください。")
    return event


def receipt_number(era_year: str, serial: int) -> str:
    """The 収受番号 as it is written, such as ``令和8年度-000123``; gapless within its 年度."""
    return f"{era_year}年度-{serial:06d}"


def days_left(due: date | None, today: date) -> int | None:
    """Calendar days to the end of the standard processing period (標準処理期間); negative when it is over."""
    return (due - today).days if due else None
