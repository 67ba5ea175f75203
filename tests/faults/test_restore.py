"""D-42: last night's backup, then relay and outside effects again: nothing twice, and what is missing has its name."""

import pytest
from tests.faults import restore_drill
from tests.faults.restore_drill import Scale

from town_onebox import testing

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]


@pytest.mark.case("D-42")
@pytest.mark.runbook("機械・ディスクそのもの")
async def test_a_restored_town_does_nothing_twice_and_names_what_is_missing() -> None:
    with testing.directory() as place:
        found = await restore_drill.run(place.parent, Scale(before=3, during=2, after=3))

    rows = {row["name"]: row for row in found.rows}
    assert restore_drill.verdict(found) == []
    assert {name: row["duplicated"] for name, row in rows.items()} == dict.fromkeys(rows, 0)
    assert found.truth, "the drill was meant to lose what only the app had taken after the backup"
    assert found.named["application"] == found.truth
    assert rows["application.portal"]["acknowledged"] == 10
    assert rows["application.portal"]["lost"] == rows["core.decision"]["lost"] == 0
    assert rows["notice.mail"]["acknowledged"] > 0
    assert rows["notice.push"]["acknowledged"] > 0
