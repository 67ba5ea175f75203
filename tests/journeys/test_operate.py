"""Commands of a service on one box, with the settings it has there; the runbooks name them."""

import re

import pytest

from town_onebox.testing import RunningTown

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]


def test_an_operator_asks_a_service_of_the_running_town(running_town: RunningTown) -> None:
    letters = running_town.command("procedures", "dead-letters", "list")
    assert letters.returncode == 0, letters.stderr
    waiting = running_town.command("connector", "waiting")
    assert waiting.returncode == 0
    assert re.search(r"待ち \d+ 件\n\Z", waiting.stdout)


def test_a_service_that_is_not_there_is_named(running_town: RunningTown) -> None:
    unknown = running_town.command("payments", "dead-letters", "list")
    assert unknown.returncode == 1
    assert "payments というサービスはありません" in unknown.stderr
