"""児童手当: what the record says, through ``prepare`` and the procedure folder's own mapping.

The cases are the rules of 児童手当法 since 2024-10-01; the first is a published oracle (OpenFisca-Japan).
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import town_procedures
from town_kit.ids import new_id
from town_standardization.adapters import AdapterRefused, HandOver, persons
from town_standardization.adapters.child_allowance import ADAPTER

FOLDER = Path(town_procedures.__file__).parent / "catalogue" / "child_allowance_claim"
SAMPLE = json.loads((FOLDER / "samples" / "valid.json").read_text(encoding="utf-8"))["answers"]
CHILD: dict[str, Any] = SAMPLE["children"][0]
STUDENT = {k: v for k, v in CHILD.items() if k not in ("in_custody", "livelihood")} | {
    "activity": "student",
    "under_care": True,
    "living_costs_borne": True,
}


def child(birth: str, **changes: Any) -> dict[str, Any]:
    return CHILD | {"birth_date": birth} | changes


def student(birth: str, **changes: Any) -> dict[str, Any]:
    return STUDENT | {"birth_date": birth} | changes


@dataclass(frozen=True)
class Case:
    """A claim, and each child's place in the order and amount, students first."""

    children: tuple[dict[str, Any], ...]
    shares: tuple[tuple[int | None, int], ...]
    claimed: str = "2024-09-05"
    kind: str = "other"
    event: str = "2024-09-05"
    students: tuple[dict[str, Any], ...] = field(default=())
    first_month: str = "2024-10"
    paid_in: str = "2024-12"

    def record(self) -> dict[str, Any]:
        answers = SAMPLE | {
            "claim_date": self.claimed,
            "event": {"kind": self.kind, "date": self.event},
            "children": list(self.children),
            "student_age_children": list(self.students),
        }
        document = HandOver(
            application_id=new_id(),
            reference="7K2M-Q9TX-3",
            procedure_code="CH-01",
            business_id="027",
            adapter="child_allowance",
            mapping=yaml.safe_load((FOLDER / "mapping.yaml").read_text(encoding="utf-8")),
            received_at=datetime(2024, 9, 5, 1, tzinfo=UTC),
            parties=(),
            answers=answers,
        )
        numbers = {pointer: f"{index:015d}" for index, pointer in enumerate(persons(document), start=1)}
        return dict(ADAPTER.prepare(document, numbers).values)


def april(year: int) -> dict[str, Any]:
    """A claim whose first month is April."""
    return {"claimed": f"{year}-03-05", "event": f"{year}-03-05", "first_month": f"{year}-04", "paid_in": f"{year}-06"}


def march(year: int) -> dict[str, Any]:
    """A claim whose first month is March."""
    return {"claimed": f"{year}-02-05", "event": f"{year}-02-05", "first_month": f"{year}-03", "paid_in": f"{year}-04"}


CASES = {
    "the published oracle: a student of 19 brings nothing and makes the youngest the third": Case(
        (child("2011-05-01"), child("2012-05-01")),
        ((1, 0), (2, 10_000), (3, 30_000)),
        students=(student("2005-05-01"),),
    ),
    "first and second under three": Case((child("2023-05-01"), child("2024-05-01")), ((1, 15_000), (2, 15_000))),
    "first and second from three on": Case((child("2015-05-01"), child("2016-05-01")), ((1, 10_000), (2, 10_000))),
    "the third under three": Case(
        (child("2020-01-05"), child("2022-01-05"), child("2024-01-05")), ((1, 10_000), (2, 15_000), (3, 30_000))
    ),
    "the third from three on, whatever the order of the form": Case(
        (child("2016-05-01"), child("2012-05-01"), child("2014-05-01")), ((3, 30_000), (1, 10_000), (2, 10_000))
    ),
    "the month of the third birthday": Case((child("2021-10-11"),), ((1, 15_000),)),
    "the month after the third birthday": Case((child("2021-09-11"),), ((1, 10_000),)),
    "born on the first of a month, in the month of the birthday": Case((child("2021-10-01"),), ((1, 15_000),)),
    "a child not in custody brings nothing and is not counted": Case(
        (child("2012-05-01", in_custody=False), child("2014-05-01"), child("2016-05-01")),
        ((None, 0), (1, 10_000), (2, 10_000)),
    ),
    "no child in custody": Case((child("2012-05-01", in_custody=False),), ((None, 0),)),
    "a student whose costs others bear is not counted": Case(
        (child("2011-05-01"), child("2012-05-01")),
        ((None, 0), (1, 10_000), (2, 10_000)),
        students=(student("2005-05-01", living_costs_borne=False),),
    ),
    "a student others care for is not counted": Case(
        (child("2011-05-01"), child("2012-05-01")),
        ((None, 0), (1, 10_000), (2, 10_000)),
        students=(student("2005-05-01", under_care=False),),
    ),
    "born on 1 April: 18 on 31 March, paid for the last time in that month": Case(
        (child("2008-04-01"),), ((1, 10_000),), **march(2026)
    ),
    "born on 1 April: nothing from April on": Case((child("2008-04-01"),), ((None, 0),), **april(2026)),
    "born on 2 April: a year longer": Case((child("2008-04-02"),), ((1, 10_000),), **april(2026)),
    "past 18 by the first month and nobody has confirmed the support": Case(
        (child("2008-05-01"), child("2015-05-01"), child("2024-06-11")),
        ((None, 0), (1, 10_000), (2, 15_000)),
        **april(2027),
    ),
    "the year of 22 counts to its last March": Case(
        (child("2012-05-01"), child("2013-05-01")),
        ((1, 0), (2, 10_000), (3, 30_000)),
        students=(student("2003-04-01"),),
        **march(2025),
    ),
    "and no longer": Case(
        (child("2012-05-01"), child("2013-05-01")),
        ((None, 0), (1, 10_000), (2, 10_000)),
        students=(student("2003-04-01"),),
        **april(2025),
    ),
    "claimed on the fifteenth day after a birth: as if on the day of the birth": Case(
        (child("2026-09-28"),), ((1, 15_000),), "2026-10-13", "birth", "2026-09-28", (), "2026-10", "2026-12"
    ),
    "claimed on the sixteenth": Case(
        (child("2026-09-28"),), ((1, 15_000),), "2026-10-14", "birth", "2026-09-28", (), "2026-11", "2026-12"
    ),
    "claimed within fifteen days for a reason without that rule": Case(
        (child("2020-09-28"),), ((1, 10_000),), "2026-10-05", "other", "2026-09-28", (), "2026-11", "2026-12"
    ),
    "claimed before the move": Case(
        (child("2020-09-28"),), ((1, 10_000),), "2026-10-05", "move_in", "2026-11-02", (), "2026-12", "2027-02"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_record_says_what_the_law_gives(case: Case) -> None:
    record = case.record()
    rows = [*record["daigakusei_nendai_no_ko"], *record["jido"]]
    assert [(row["junban"], row["getsugaku"]) for row in rows] == list(case.shares)
    assert record["teate_getsugaku"] == sum(amount for _, amount in case.shares)
    assert record["shikyu_taisho_jidosu"] == sum(amount > 0 for _, amount in case.shares)
    assert (record["shikyu_kaishi_nengetsu"], record["shokai_shiharai_nengetsu"]) == (case.first_month, case.paid_in)


def test_there_is_no_record_of_a_month_before_the_table() -> None:
    with pytest.raises(AdapterRefused) as refused:
        Case((child("2020-01-05"),), (), claimed="2024-08-05", event="2024-08-05").record()
    assert [one.code for one in refused.value.wrong] == ["no-table"]
