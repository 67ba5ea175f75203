"""A million applications as if they had been handled one by one, written in bulk into every database they touch.

``prelude.sql`` says what the n-th application is, one file for each database what stands of it there.
"""

from typing import Any

from tests.load.lifecycle import generate
from tests.load.stored.filling import Amount, fill

from town_onebox.assembly import Town

__all__ = ["Amount", "fill", "load"]


async def load(town: Town) -> dict[str, Any]:
    """A second of life: afterwards the town has its databases and the persons whose applications are stored."""
    await generate(town, 1.0)
    return {}
