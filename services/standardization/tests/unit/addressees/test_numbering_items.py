"""The request items are those of the published specification; its text is read where it lies beside the repository."""

import os
import re
from pathlib import Path

import pytest

from town_standardization.addressees.numbering_items import ITEMS, REQUEST_ID, TITLE

SAMPLES = Path(os.environ.get("TOWN_SAMPLES", Path(__file__).parents[5] / ".." / "shared" / "data"))
DUMP = SAMPLES / "digital-agency-common-features" / "2026-08_digital-agency_atenabango-fuban-api_spec.xlsx.txt"
ROW = re.compile(r"^(?:A\d+=\d+ \| )?E\d+=([a-z_]+) \| (.*)$")

pytestmark = pytest.mark.skipif(not DUMP.exists(), reason="the published specification is not at TOWN_SAMPLES")


def request_rows() -> dict[str, dict[str, str]]:
    """Column → text of each parameter of the request sheet."""
    sheet = DUMP.read_text(encoding="utf-8").split("=== SHEET リクエスト_API仕様")[1].split("=== SHEET")[0]
    found = {}
    for line in sheet.splitlines():
        match = ROW.match(line)
        if match:
            found[match[1]] = dict(re.findall(r"([A-Z]{2})\d+=(.*?)(?= \| [A-Z]{2}\d+=|$)", match[2]))
    return found


def test_every_parameter_of_the_specification_is_here_in_order() -> None:
    assert [item.name for item in ITEMS] == list(request_rows())


@pytest.mark.parametrize("item", ITEMS, ids=lambda one: one.name)
def test_an_item_is_as_specified(item) -> None:
    row = request_rows()[item.name]
    assert row["AK"].startswith(item.label)  # the dump appends readings of some labels
    assert row["CY"].replace("Ｎ", "N") == item.kind
    assert int(row["DC"]) == item.digits
    assert (row.get("CV") == "◎") is item.always


def test_request_id_and_title_are_as_specified() -> None:
    text = DUMP.read_text(encoding="utf-8")
    assert f"P18={REQUEST_ID}\n" in text
    assert f'"title": "{TITLE}"' in text
