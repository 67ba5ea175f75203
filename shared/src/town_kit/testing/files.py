"""What a piece of code leaves behind in the folder for temporary files."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def nothing_on_disk() -> Iterator[Path]:
    """Give the block a folder for temporary files of its own, and expect it empty afterwards.

    A file without a name, as :func:`tempfile.TemporaryFile` makes them, counts as long as somebody holds it open.

    Raises:
        AssertionError: something was left.
    """
    usual = tempfile.tempdir
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = usual
        left = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*"))] + _held_open(folder)
        assert left == [], f"left behind: {left}"


def _held_open(folder: Path) -> list[str]:
    held = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            if target.startswith(f"{folder}/") and target.endswith(" (deleted)"):
                held.append(target)
    return held
