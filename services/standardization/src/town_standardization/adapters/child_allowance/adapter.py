"""認定請求 of 児童手当: application → standard record, with the amount the rules give."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from town_standardization.adapters.base import AdapterRefused, HandOver, PreparedRecord, Wrong
from town_standardization.adapters.child_allowance import rules
from town_standardization.adapters.child_allowance.file import LAYOUT
from town_standardization.adapters.child_allowance.record import GROUPS
from town_standardization.adapters.mapping import elements, fill, value_of

CHILDREN, STUDENTS = "jido", "daigakusei_nendai_no_ko"


class ChildAllowance:
    """業務ID 027."""

    name = "child_allowance"
    business_id = "027"
    api_call = "child_allowance_applications"
    legal_basis = "番号法 第9条第1項・別表（児童手当法による児童手当の支給に関する事務）"
    groups = GROUPS
    file = LAYOUT

    def prepare(self, hand_over: HandOver, addressees: Mapping[str, str]) -> PreparedRecord:
        """The record of a claim.

        Raises:
            AdapterRefused: as the protocol says; also where no table of rates holds.
        """
        try:
            derived, lists = _by_rules(hand_over)
        except (ValueError, TypeError):
            wrong = Wrong("seikyu_nengappi", "date", "請求年月日・事由発生年月日・生年月日を確認してください。")
            raise AdapterRefused([wrong]) from None
        except rules.NoTable:
            wrong = Wrong("shikyu_kaishi_nengetsu", "no-table", "この月の支給額の表がありません。")
            raise AdapterRefused([wrong]) from None
        return PreparedRecord(fill(hand_over, GROUPS, addressees, derived, lists))


def _by_rules(hand_over: HandOver) -> tuple[dict[str, Any], dict[str, list[Mapping[str, Any]]]]:
    """First month and amounts; places are read through the folder's own mapping."""
    fields, lists = hand_over.mapping.get("fields", {}), hand_over.mapping.get("lists", {})

    def answered(field: str) -> Any:
        return value_of(hand_over.answers, fields.get(field, ""))

    children = _children(hand_over, lists.get(CHILDREN))
    students = _children(hand_over, lists.get(STUDENTS))
    start = rules.first_month(
        date.fromisoformat(answered("seikyu_nengappi")),
        answered("seikyu_jiyu"),
        date.fromisoformat(answered("jiyu_hassei_nengappi")),
    )
    shares = rules.amounts([*students, *children], start)
    ofstudents, ofchildren = shares[: len(students)], shares[len(students) :]
    derived = {
        "shikyu_kaishi_nengetsu": f"{start:%Y-%m}",
        "teate_getsugaku": sum(share.amount for share in shares),
        "shikyu_taisho_jidosu": sum(share.amount > 0 for share in shares),
        "shokai_shiharai_nengetsu": f"{rules.payment_month(start):%Y-%m}",
    }
    return derived, {CHILDREN: [_row(s) for s in ofchildren], STUDENTS: [_row(s) for s in ofstudents]}


def _row(share: rules.Share) -> Mapping[str, Any]:
    return {"junban": share.order, "getsugaku": share.amount}


def _children(hand_over: HandOver, rule: Mapping[str, Any] | None) -> list[rules.Child]:
    """The children of one list. What it asks (監護, 監護相当, 生計費の負担) counts only where it is answered with yes.

    監護相当 and 生計費 are asked of those over 18 alone: a child of the other list who has passed that age by the first
    month of pay is not counted before they are confirmed.
    """
    if rule is None:
        return []
    asked = rule["fields"]

    def confirmed(element: Any, field: str) -> bool:
        return value_of(element, "/" + asked[field]) is True

    return [
        rules.Child(
            birth=date.fromisoformat(value_of(element, "/" + asked["seinengappi"])),
            in_custody="kango" not in asked or confirmed(element, "kango"),
            supported=all(name in asked and confirmed(element, name) for name in ("kango_soto", "seikeihi_futan")),
        )
        for _, element in elements(hand_over.answers, rule["each"])
    ]
