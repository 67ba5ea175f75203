"""States of an application and the moves between them, as data; guard, event and diagram come from one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from town_kit.jp import BusinessDays
from town_kit.problems import StateConflict
from town_procedures.applications import events as fact
from town_procedures.applications.errors import DraftMissing


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


class Flag(StrEnum):
    """確認事項 — what a clerk should look at; a flag never refuses."""

    BIRTH_UNKNOWN = "birth_unknown"
    NAME_SUBSTITUTED = "name_substituted"
    ADDRESS_SUBSTITUTED = "address_substituted"
    NAME_DIFFERS = "name_differs"
    BIRTH_DIFFERS = "birth_differs"
    SEX_DIFFERS = "sex_differs"
    ADDRESS_DIFFERS = "address_differs"
    REVOKED_LATER = "revoked_later"
    PARTY_NOT_LINKED = "party_not_linked"
    MY_NUMBER_IN_TEXT = "my_number_in_text"
    REVISED = "revised"
    DECIDED_AFTER_WITHDRAWAL = "decided_after_withdrawal"
    DECIDED_OTHERWISE = "decided_otherwise"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a move: the role a timeline shows, and the person where one is known."""

    role: str
    id: UUID | None = None


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

FLAG_LABELS: Mapping[str, str] = {
    Flag.BIRTH_UNKNOWN: "電子証明書の生年月日が不詳です。年齢は別の資料で確認してください。",
    Flag.NAME_SUBSTITUTED: "電子証明書の氏名に代替文字があります。住民票の氏名と見比べてください。",
    Flag.ADDRESS_SUBSTITUTED: "電子証明書の住所に代替文字があります。住民票の住所と見比べてください。",
    Flag.NAME_DIFFERS: "署名した人の電子証明書と、申請に書かれた氏名が違います。本人に確認してください。",
    Flag.BIRTH_DIFFERS: "署名した人の電子証明書と、申請に書かれた生年月日が違います。本人に確認してください。",
    Flag.SEX_DIFFERS: "署名した人の電子証明書と、申請に書かれた性別が違います。本人に確認してください。",
    Flag.ADDRESS_DIFFERS: "署名した人の電子証明書と、申請に書かれた住所が違います。転居などがないか確認してください。",
    Flag.REVOKED_LATER: "到達のあとで電子証明書が失効しました。署名は有効です。転出などの異動を確認してください。",
    Flag.PARTY_NOT_LINKED: "宛名番号と結び付いていない当事者がいます。本人を特定してください。",
    Flag.MY_NUMBER_IN_TEXT: "自由記述に個人番号らしい数字がありました。個人番号の担当に確認を依頼してください。",
    Flag.REVISED: "同じ受付番号で内容が差し替えられました。新しい内容で審査してください。",
    Flag.DECIDED_AFTER_WITHDRAWAL: "取下げのあとに決定が届きました。担当課に決定の取消しを依頼してください。",
    Flag.DECIDED_OTHERWISE: "業務システムから、完了したものとは違う決定が届きました。担当課に確認してください。",
}

LOOK_FIRST = frozenset(
    {Flag.MY_NUMBER_IN_TEXT, Flag.NAME_DIFFERS, Flag.BIRTH_DIFFERS, Flag.SEX_DIFFERS, Flag.ADDRESS_DIFFERS}
)
"""With one of these an application is not accepted without a clerk (自動受付)."""

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
    (State.DRAFTED, State.DRAFTED): fact.ApplicationDrafted,
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
    (State.COMPLETED, State.APPROVED): fact.ApplicationDecisionRevised,
    (State.COMPLETED, State.REJECTED): fact.ApplicationDecisionRevised,
    (State.COMPLETED, State.IN_REVIEW): fact.ApplicationDecisionRevoked,
    (State.PENDING_VERIFICATION, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.SUBMITTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.ACCEPTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.IN_REVIEW, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.CORRECTION_REQUESTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
    (State.DRAFTED, State.WITHDRAWN): fact.ApplicationWithdrawn,
}

OPEN = frozenset(State) - {State.WITHDRAWN, State.COMPLETED}
CLOCK_STOPPED = frozenset({State.CORRECTION_REQUESTED})
"""While an application stands here, the standard processing period does not run: the town waits for the applicant."""
DECISIONS = frozenset({State.APPROVED, State.REJECTED})
DECIDED = DECISIONS | {State.COMPLETED}
"""Where a decision stands; wherever else an application goes, it has none (any more)."""
ALONE = frozenset(
    (current, to)
    for current, to in TRANSITIONS
    if to in DECISIONS and current not in {State.DRAFTED, State.PENDING_VERIFICATION}
)
"""Decisions one officer makes alone; a folder with ``two_person_decision`` takes these moves out of the table."""


def move(current: State | None, to: State, *, two_person_decision: bool = False) -> type[fact.ApplicationEvent]:
    """The event of a move.

    Raises:
        StateConflict: the table does not know the move.
        DraftMissing: the folder asks for 起案 by one officer and 決裁 by another, and there is no draft.
    """
    if two_person_decision and (current, to) in ALONE:
        raise DraftMissing("この手続きの決定は二人で行います。先に起案し、別の職員が決裁してください。")
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


class Deadline(NamedTuple):
    """見込みの日: the last day of the standard processing period, and since when its clock stands still.

    ``due_on`` is never later than ``at_latest``, the last calendar day a law allows, which no correction moves: only
    延期通知 does.
    """

    due_on: date | None
    at_latest: date | None = None
    stopped_on: date | None = None


def deadline(arrived: date, working_days: int | None, calendar_days: int | None, calendar: BusinessDays) -> Deadline:
    """The deadline of what arrived on a day, which is not counted itself (民法140条)."""
    at_latest = arrived + timedelta(days=calendar_days) if calendar_days is not None else None
    period = calendar.add(arrived, working_days) if working_days is not None else None
    return Deadline(_earlier(period, at_latest), at_latest)


def clock(deadline: Deadline, to: State, today: date, calendar: BusinessDays) -> Deadline:
    """The deadline after a move: the clock stops in ``CLOCK_STOPPED``, and behind it the working days it stood follow.

    They are those after the day it stopped, up to and including the day it runs again.
    """
    if to in CLOCK_STOPPED:
        return deadline._replace(stopped_on=deadline.stopped_on or today)
    if deadline.stopped_on is None:
        return deadline
    stood = calendar.count(deadline.stopped_on, today)
    due_on = deadline.due_on
    if due_on is not None and stood:
        due_on = _earlier(calendar.add(due_on, stood), deadline.at_latest)
    return Deadline(due_on, deadline.at_latest)


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)
