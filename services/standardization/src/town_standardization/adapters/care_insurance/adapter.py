"""要介護・要支援認定の申請 of 介護保険: application → standard record, with the terms the rules give."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from town_standardization.adapters.base import AdapterRefused, HandOver, PreparedRecord, Wrong
from town_standardization.adapters.care_insurance import rules
from town_standardization.adapters.care_insurance.file import LAYOUT
from town_standardization.adapters.care_insurance.record import GROUPS
from town_standardization.adapters.mapping import fill, value_of


class CareInsurance:
    """業務ID 023."""

    name = "care_insurance"
    business_id = "023"
    api_call = "care_need_certifications"
    legal_basis = "番号法 第9条第1項・別表（介護保険法による保険給付の支給に関する事務）"
    groups = GROUPS
    file = LAYOUT

    def prepare(self, hand_over: HandOver, addressees: Mapping[str, str]) -> PreparedRecord:
        """The record of an application for certification.

        Raises:
            AdapterRefused: as the protocol says; also where no table of terms holds.
        """
        try:
            derived = _by_rules(hand_over)
        except (ValueError, TypeError):
            raise AdapterRefused([Wrong("shinsei_nengappi", "date", "申請年月日を確認してください。")]) from None
        except rules.NoTable:
            wrong = Wrong("shinsei_kubun", "no-table", "この申請区分の有効期間の表がありません。")
            raise AdapterRefused([wrong]) from None
        return PreparedRecord(fill(hand_over, GROUPS, addressees, derived, {}))


def _by_rules(hand_over: HandOver) -> dict[str, Any]:
    fields = hand_over.mapping.get("fields", {})

    def answered(field: str) -> Any:
        return value_of(hand_over.answers, fields.get(field, ""))

    applied_on, kind = date.fromisoformat(answered("shinsei_nengappi")), str(answered("shinsei_kubun"))
    ended = answered("zenkai_yuko_kikan_shuryo")
    term = rules.term(kind, applied_on)
    start = rules.first_day(kind, applied_on, date.fromisoformat(ended) if ended else None)
    return {
        "kettei_kigen": rules.decision_due(applied_on).isoformat(),
        "yuko_kikan_kaishi": start.isoformat(),
        "yuko_kikan_shuryo_gensoku": rules.last_day(start, term.standard).isoformat(),
        "yuko_kikan_gensoku_getsusu": term.standard,
        "yuko_kikan_kagen_getsusu": term.shortest,
        "yuko_kikan_jogen_getsusu": term.limit(same_level=True),
    }
