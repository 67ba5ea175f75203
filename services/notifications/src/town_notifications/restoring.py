"""After a restore: what mail servers and push services took before is not sent again, and the rest goes out at once."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.restoring import Lists, Missing, Restoring
from town_notifications.recipients import code_mail_id

_RECOGNISE = text(
    """INSERT INTO sent_before_restore (delivery_id, noted_at)
       SELECT DISTINCT id, now() FROM unnest(cast(:ids AS uuid[])) AS given (id)
        WHERE NOT EXISTS (SELECT FROM deliveries d WHERE d.id = given.id AND d.state = 'sent')
       ON CONFLICT DO NOTHING RETURNING delivery_id"""
)
_IN_HAND = """UPDATE deliveries SET next_attempt_at = now()
 WHERE state = 'sending' AND next_attempt_at > now() RETURNING id"""
_KNOWN = text("SELECT id FROM deliveries WHERE id = ANY(cast(:ids AS uuid[]))")
_CODES = text("SELECT id, generate_series(1, issue) FROM contact_points")


def _ids(lists: Lists) -> list[UUID]:
    return list(dict.fromkeys(UUID(str(entry["delivery_id"])) for entry in lists.get("deliveries", ())))


async def recognise(session: AsyncSession, lists: Lists) -> int:
    """Take down which deliveries arrived; answers how many of them are not marked as sent here."""
    return len((await session.execute(_RECOGNISE, {"ids": _ids(lists)})).all())


async def missing(session: AsyncSession, lists: Lists) -> list[Missing]:
    """Deliveries somebody has, of messages nobody here knows."""
    sent = _ids(lists)
    known = set((await session.execute(_KNOWN, {"ids": sent})).scalars())
    known |= {code_mail_id(point, issue) for point, issue in (await session.execute(_CODES)).all()}
    told = "送信済みのお知らせの控えがありません。失われた申請か、失われた操作(決定など)についてのものです。"
    return [Missing("delivery", str(one), told) for one in sent if one not in known]


RESTORING = Restoring(claims=(_IN_HAND,), recognise=recognise, missing=missing)
