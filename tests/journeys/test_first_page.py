"""The first page of `make run`: the lines it offers really work, as they are pasted into a terminal."""

import asyncio
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from town_kit.testing import eventually
from town_onebox import testing
from town_onebox.testing import RunningTown

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]

RUN = ("-m", "town_onebox", "run", "--directory")
ROLES = {"resident", "staff", "vendor"}


@pytest.fixture(scope="module")
def shown() -> Iterator[RunningTown]:
    """A town started as `make run` starts it."""
    with testing.directory() as place:
        place.mkdir()
        town = RunningTown(place, program=RUN)
        try:
            yield town
        finally:
            town.stop()


async def pasted(line: str) -> int:
    """The status that a line, run by a shell, gets."""
    shell = await asyncio.create_subprocess_shell(
        f"{line} --noproxy '*' --silent --show-error --output /dev/null --write-out '%{{http_code}}'",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await shell.communicate()
    return int(out)


async def test_each_line_the_first_page_offers_is_answered(shown: RunningTown) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    origin = shown.town.public_url
    async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=20) as page:

        async def offered() -> Any:
            return (await page.get("/portal/test-tokens")).json()

        accounts = await eventually(offered, within=180, every=1)
    assert {account["role"] for account in accounts} == ROLES
    for account in accounts:
        assert account["try"], account["role"]
        for one in account["try"]:  # as index.js puts a line together
            line = one["curl"].replace("{origin}", origin).replace("{token}", account["token"])
            assert await pasted(line) == 200, one["title"]
