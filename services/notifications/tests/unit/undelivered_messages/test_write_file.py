"""The file a clerk opens in a spreadsheet holds text, never a formula."""

import csv
import io
from datetime import UTC, date, datetime

import pytest

from town_kit.ids import new_id
from town_notifications.messages import Message
from town_notifications.undelivered_messages import csv_file

NOW = datetime(2027, 1, 12, tzinfo=UTC)


def message(**changes: str) -> Message:
    values = {
        "title": "結果",
        "reference": "A-7K2M-Q9TX-3",
        "kind": "application.approved",
        "list_reason": "no_channel",
    }
    return Message(id=new_id(), version=1, valid_until=NOW, listed_on=date(2027, 1, 12), **(values | changes))


@pytest.mark.case("D-15")
@pytest.mark.parametrize("cell", ["=1+1", "+81", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "＠x"])
def test_a_cell_that_begins_like_a_formula_becomes_text(cell: str) -> None:
    assert csv_file.harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["A-7K2M-Q9TX-3", "申請の結果が出ました", "", "1"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert csv_file.harmless(cell) == cell


@pytest.mark.case("D-15")
def test_the_file_opens_in_a_japanese_spreadsheet() -> None:
    raw = csv_file.write([message(title='=HYPERLINK("x")\n,"2"')])
    assert raw.startswith(b"\xef\xbb\xbf")
    header, row = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    assert header == list(csv_file.HEADER)
    assert row[header.index("題")] == '\'=HYPERLINK("x")\n,"2"'
    assert row[header.index("有効期限")] == "2027-01-12 09:00"
