"""States of a quarantined package, the moves between them, and each reason in words a clerk understands."""

from dataclasses import dataclass
from enum import StrEnum

from town_kit.problems import StateConflict
from town_procedures.quarantined_packages import events as fact


class State(StrEnum):
    """隔離の状態 — where a quarantined package stands."""

    QUARANTINED = "quarantined"
    RELEASED = "released"
    DISCARDED = "discarded"


LABELS = {State.QUARANTINED: "隔離中", State.RELEASED: "隔離解除", State.DISCARDED: "破棄"}

# (from, to) → what is told. A released package that is still wrong comes back with the new reason.
TRANSITIONS: dict[tuple[State | None, State], type[fact.QuarantinedPackageEvent]] = {
    (None, State.QUARANTINED): fact.QuarantinedPackageQuarantined,
    (State.QUARANTINED, State.RELEASED): fact.QuarantinedPackageReleased,
    (State.RELEASED, State.QUARANTINED): fact.QuarantinedPackageQuarantined,
    (State.QUARANTINED, State.DISCARDED): fact.QuarantinedPackageDiscarded,
}


def move(current: State | None, to: State) -> type[fact.QuarantinedPackageEvent]:
    """The event of a move.

    Raises:
        StateConflict: the table does not know the move.
    """
    event = TRANSITIONS.get((current, to))
    if event is None:
        now = LABELS[current] if current else "未登録"
        raise StateConflict(f"このデータはいま「{now}」です。画面を読み直してから操作してください。")
    return event


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason as a clerk reads it: 何が起きたか, 次にすること, and what a release will do."""

    happened: str
    next_step: str
    on_release: str


AGAIN = "同じ検査をもう一度行います。原因が残っていれば、また隔離されます。"
_CARD = "申請者に連絡し、有効なマイナンバーカードで署名し直して送ってもらってください。"

EXPLANATIONS: dict[str, Explanation] = {
    "wrong-municipality": Explanation(
        "別の市区町村あての団体コードが書かれた申請データが届きました。",
        "ポータルの画面であて先を確かめてください。誤って届いたものなら破棄し、ポータルの窓口に連絡してください。",
        "この町あての申請として受け付けます。団体コードの検査だけを省き、署名と内容は検査します。",
    ),
    "procedure-unknown": Explanation(
        "この町で受け付けていない手続きの申請データが届きました。",
        "手続きの登録（ポータルの手続番号）を確かめ、登録してから隔離を解除してください。",
        AGAIN,
    ),
    "archive-unsafe": Explanation(
        "申請データの圧縮ファイルが壊れているか、安全に開けない作りになっています。",
        "申請者に連絡し、もう一度送ってもらってください。開けないため、隔離を解除しても受け付けられません。",
        AGAIN,
    ),
    "malformed-request": Explanation(
        "申請データの形式が決まりと違い、読み取れません。",
        "ポータルの様式の変更がないか確かめてください。変更がなければ申請者に送り直してもらってください。",
        AGAIN,
    ),
    "duplicate-member": Explanation(
        "申請データの同じ項目に値が二つ書かれていて、どちらが正しいか決められません。",
        "申請者に連絡し、もう一度送ってもらってください。",
        AGAIN,
    ),
    "validation-failed": Explanation(
        "申請の内容が様式の決まりに合っていません。合わない項目は「errors」にあります。",
        "様式の定義に誤りがあれば直してから隔離を解除してください。内容の誤りなら、申請者に連絡してください。",
        AGAIN,
    ),
    "document-unsafe": Explanation(
        "添付書類が、安全に扱えない種類や作りのファイルです。",
        "申請者に連絡し、添付書類を作り直して送ってもらってください。",
        AGAIN,
    ),
    "signature-invalid": Explanation(
        "電子署名がないか、署名のあとで内容や添付書類が変わっています。",
        _CARD,
        AGAIN,
    ),
    "jpki-untrusted": Explanation(
        "公的個人認証の認証局が発行したと確認できない電子証明書で署名されています。",
        "新しい認証局の証明書が登録されているか、システム担当に確かめてください。登録済みなら破棄を検討してください。",
        AGAIN,
    ),
    "jpki-expired": Explanation("署名に使われた電子証明書の有効期限が切れていました。", _CARD, AGAIN),
    "jpki-revoked": Explanation("署名に使われた電子証明書は、受付の時点で失効していました。", _CARD, AGAIN),
    "jpki-wrong-purpose": Explanation(
        "署名用ではない電子証明書（利用者証明用など）で署名されています。",
        "申請者に連絡し、署名用電子証明書（6〜16桁の暗証番号）で署名し直して送ってもらってください。",
        AGAIN,
    ),
    "jpki-weak-algorithm": Explanation("使えない古い暗号方式の電子証明書か署名です。", _CARD, AGAIN),
    "jpki-status-unavailable": Explanation(
        "同じ受付番号で新しい内容が届きましたが、電子証明書の失効を確認できません。",
        "失効情報が更新されてから隔離を解除してください。",
        "失効を確認し、有効なら新しい内容に差し替えます。",
    ),
    "revision-needs-clerk": Explanation(
        "受付が済んだ申請と同じ受付番号で、違う内容が届きました。",
        "二つの内容を見比べてください。差し替えるなら隔離を解除し、差し替えないなら破棄してください。",
        "審査が終わっていなければ、申請の内容と添付書類を新しいものに差し替え、「差替」の印を付けます。",
    ),
}
UNKNOWN = Explanation(
    "申請データをそのまま受け付けられませんでした。",
    "理由コードをシステム担当に伝えてください。",
    AGAIN,
)


def explanation(reason: str) -> Explanation:
    """What a clerk reads about a reason."""
    return EXPLANATIONS.get(reason, UNKNOWN)
