"""After a restore: what the portal was told is not told again; what it has and we do not is fetched again or named.

Applications need no step of their own: the cursor of the list is as old as the backup, so all of them come again, under
the id and the reference they had.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.mynaportal import repository
from town_kit.clock import SystemClock
from town_kit.restoring import Lists, Missing, Restoring

_POLL_NOW = text("UPDATE portals SET next_poll_at = least(next_poll_at, :now)")
_TAKEN = text(
    """SELECT DISTINCT receipt_no FROM portal_applications
        WHERE handed_over_at IS NOT NULL AND receipt_no = ANY(cast(:numbers AS text[]))"""
)
_TOLD = text(
    """SELECT receipt_no, sequence, fact, code, settlement FROM portal_statuses
        WHERE fact = 'before-restore' OR settlement LIKE 'told-otherwise:%' ORDER BY receipt_no, sequence"""
)


async def recognise(session: AsyncSession, lists: Lists) -> int:
    """Take down which statuses the portal has, and make the next poll due: nobody announces the old ones again.

    The confirmation of receipt (0) is the same each time and left out.
    """
    await session.execute(_POLL_NOW, {"now": SystemClock().now()})
    told = [entry for entry in lists.get("portal-statuses", ()) if int(entry["sequence"]) > 0]
    noted = 0
    for entry in told:
        noted += await repository.know_status(
            session,
            receipt_no=str(entry["receipt_no"]),
            sequence=int(entry["sequence"]),
            code=str(entry["code"]),
            message=str(entry["message"]),
            occurred_at=datetime.fromisoformat(str(entry["occurred_at"])),
            now=SystemClock().now(),
        )
    return noted


async def missing(session: AsyncSession, lists: Lists) -> list[Missing]:
    """Applications not taken in yet, and statuses the portal shows that nobody here has reached or has otherwise."""
    numbers = list(dict.fromkeys(str(entry["receipt_no"]) for entry in lists.get("portal-applications", ())))
    taken = set((await session.execute(_TAKEN, {"numbers": numbers})).scalars())
    told = "ポータルにある申請をまだ取り直していません。起動後も残るときは「waiting」で理由を確かめてください。"
    found = [Missing("portal-application", number, told) for number in numbers if number not in taken]
    for row in (await session.execute(_TOLD)).all():
        name = f"{row.receipt_no} の {row.sequence} 番"
        if row.fact == "before-restore":
            told = f"ポータルにはコード {row.code} と伝わっていますが、町の申請はそこまで進んでいません。"
        else:
            now = row.settlement.partition(":")[2]
            told = f"ポータルにはコード {row.code} と伝わっていますが、町ではコード {now} です。訂正が要ります。"
        found.append(Missing("portal-status", name, told))
    return found


RESTORING = Restoring(recognise=recognise, missing=missing)
