"""Reading a list of the API to its end, as whoever looks for one thing among many must."""

from collections.abc import Mapping
from typing import Any

import httpx


async def all_items(client: httpx.AsyncClient, path: str, headers: Mapping[str, str], **query: Any) -> list[Any]:
    """The items of every page, in their order; fails the test when a page is refused.

    Tests share a database: what others have left may fill the first page.
    """
    found: list[Any] = []
    asked = {"limit": 100, **query}
    while True:
        answer = await client.get(path, params=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        asked["cursor"] = page["next_cursor"]
