"""Tools of other languages that the checks use, where `make` could build them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".venv" / "tools"


def tool(name: str, *, needs: str, target: str) -> Path:
    """A tool, or a skip that says what is missing; where CI=true a failure."""
    path = TOOLS / name
    if not path.exists():
        reason = f"{path.name} is not there: `make {target}` installs it where {needs} is"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
