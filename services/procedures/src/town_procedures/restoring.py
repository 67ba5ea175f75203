"""After a restore: 収受番号 that may have been given are left out, and applications that are gone are named."""

import re
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.restoring import Lists, Missing, Restoring, Skip

RECEIPTS_LEFT_OUT = 1_000
"""More than a town gives between two backups; the gap (欠番) stands in the report."""

_LEAVE_OUT = f"""UPDATE receipt_counters c SET last_serial = c.last_serial + {RECEIPTS_LEFT_OUT} FROM receipt_counters b
WHERE b.fiscal_year = c.fiscal_year
RETURNING c.fiscal_year || '年度 ' || b.last_serial + 1 || '〜' || c.last_serial || ' を欠番とする'"""  # noqa: S608 - a constant
_LOCATION = re.compile(r"^/v1/applications/([0-9a-f-]{36})$")
_KNOWN = text("SELECT id FROM applications WHERE id = ANY(cast(:ids AS uuid[]))")


async def missing(session: AsyncSession, lists: Lists) -> list[Missing]:
    """Applications that were acknowledged to a resident and are not here."""
    found = [_LOCATION.match(str(entry["location"])) for entry in lists.get("created", ())]
    made = list(dict.fromkeys(UUID(one[1]) for one in found if one))
    known = set((await session.execute(_KNOWN, {"ids": made})).scalars())
    told = "町のアプリ・窓口で受け付けた申請が失われています。申請者に連絡し、もう一度出してもらってください。"
    return [Missing("application", str(one), told) for one in made if one not in known]


RESTORING = Restoring(skips=(Skip("収受番号", _LEAVE_OUT),), missing=missing)
