"""D-42: what came under a 受付番号 has the same id and reference whenever it is taken."""

import pytest

from town_kit.ids import is_reference
from town_procedures.applications import names_of

pytestmark = pytest.mark.case("D-42")
KEY = b"k" * 32


def test_the_same_delivery_has_the_same_names_and_another_has_others() -> None:
    first = names_of("mynaportal", "202701040000000001", KEY)
    assert names_of("mynaportal", "202701040000000001", KEY) == first
    others = [names_of("mynaportal", "202701040000000002", KEY), names_of("other", "202701040000000001", KEY)]
    assert len({first, *others}) == 3
    assert len({one[1] for one in [first, *others]}) == 3
    assert is_reference(first[1])


def test_the_names_cannot_be_found_without_the_key() -> None:
    assert names_of("mynaportal", "1", KEY) != names_of("mynaportal", "1", b"j" * 32)
