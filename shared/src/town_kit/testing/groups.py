"""Tests of one ``xdist_group`` run in one worker, one after the other."""

from collections.abc import Sequence

import pytest
from _pytest.nodeid import coerce_node_id


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Put the group behind the test's id, where the scheduler looks for it.

    pytest-xdist 3.8 writes it into a field that pytest 9.2 no longer reads, so that groups would be torn apart.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and not item.nodeid.endswith(f"@{mark.args[0]}"):
            item._id = coerce_node_id(f"{item.nodeid}@{mark.args[0]}")
