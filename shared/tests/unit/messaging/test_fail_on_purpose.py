"""A failpoint kills where a test asked for it, and never in production."""

import os
import subprocess
import sys

import pytest

SCRIPT = "from town_kit import failpoints; {before}failpoints.failpoint('here'); print('alive')"


def run(before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOWN_")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_kills_where_it_was_asked_to() -> None:
    assert run(TOWN_FAILPOINT="here:kill").returncode == -9


@pytest.mark.parametrize(
    ("before", "environment"),
    [
        ("", {}),
        ("", {"TOWN_FAILPOINT": "elsewhere:kill"}),
        ("", {"TOWN_FAILPOINT": "here:kill", "TOWN_PROCEDURES_ENVIRONMENT": "production"}),
        ("failpoints.forbid(); ", {"TOWN_FAILPOINT": "here:kill"}),
    ],
)
def test_otherwise_it_does_nothing(before: str, environment: dict[str, str]) -> None:
    assert run(before, **environment).stdout == "alive\n"
