"""Every statement on the connector's tables.

A claim sets the time of the next attempt before the work begins: whoever is killed in between is simply an attempt
that failed, and nobody has to clean up behind it.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from town_gateway.mynaportal.intake import Acknowledgement
from town_gateway.mynaportal.portal import Listed
from town_kit.ids import new_id

# 5, 10, 20 … seconds, at most a quarter of an hour.
BACK_OFF = {"first": 5.0, "longest": 900.0}
_STATUS_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:town:connector:status")

_PORTAL = text("INSERT INTO portals (name, next_poll_at) VALUES (:name, :now) ON CONFLICT DO NOTHING")
_CLAIM_POLL = text(
    """UPDATE portals SET failures = failures + 1, next_poll_at = :now
          + make_interval(secs => least(:longest, :first * power(2, least(failures, 20))))
        WHERE name = :name AND next_poll_at <= :now RETURNING cursor, next_poll_at AS claimed_until"""
)
_KEEP_LISTED = text(
    """INSERT INTO portal_applications
         (id, receipt_no, revision, received_at, mynaportal_procedure_id, listed_at, next_attempt_at)
       VALUES (:id, :receipt_no, :revision, :received_at, :mynaportal_procedure_id, :now, :now)
       ON CONFLICT (receipt_no, revision) DO NOTHING"""
)
# A request to poll that came in meanwhile has moved next_poll_at: then it stays as it is.
_POLLED = text(
    """UPDATE portals SET cursor = :cursor, polled_at = :now, failures = 0,
         next_poll_at = CASE WHEN next_poll_at = :claimed_until THEN :next_poll_at ELSE next_poll_at END
       WHERE name = :name"""
)
_POLL_NOW = text("UPDATE portals SET next_poll_at = least(next_poll_at, :now) WHERE name = :name")
_CLAIM_APPLICATIONS = text(
    """UPDATE portal_applications SET attempts = attempts + 1, next_attempt_at = :now
          + make_interval(secs => least(:longest, :first * power(2, least(attempts, 20))))
        WHERE id IN (SELECT id FROM portal_applications WHERE confirmed_at IS NULL AND next_attempt_at <= :now
                     ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING id, receipt_no, revision, received_at, mynaportal_procedure_id, handed_over_at,
          EXISTS (SELECT 1 FROM portal_applications other WHERE other.receipt_no = portal_applications.receipt_no
                  AND other.id <> portal_applications.id AND other.confirmed_at IS NOT NULL) AS told_before"""
)
_HANDED_OVER = text(
    """UPDATE portal_applications
       SET handed_over_at = :now, outcome = :outcome, application_id = :application_id, reason = :reason
       WHERE id = :id"""
)
_CONFIRMED = text("UPDATE portal_applications SET confirmed_at = :now WHERE id = :id")
_KEEP_STATUS = text(
    """INSERT INTO portal_statuses (id, receipt_no, sequence, fact, code, message, occurred_at, next_attempt_at)
       VALUES (:id, :receipt_no, :sequence, :fact, :code, :message, :occurred_at, :now)
       ON CONFLICT (receipt_no, sequence) DO UPDATE SET fact = excluded.fact, settlement =
         CASE WHEN portal_statuses.code = excluded.code THEN 'known' ELSE 'told-otherwise:' || excluded.code END
       WHERE portal_statuses.fact = 'before-restore'"""
)
# What the portal was told before a restore: it is not told again, and a status still waiting here has arrived.
_KNOW_STATUS = text(
    """INSERT INTO portal_statuses (id, receipt_no, sequence, fact, code, message, occurred_at, next_attempt_at,
                                     settled_at, settlement)
       VALUES (:id, :receipt_no, :sequence, 'before-restore', :code, :message, :occurred_at, :now, :now, 'known')
       ON CONFLICT (receipt_no, sequence) DO UPDATE SET settled_at = excluded.settled_at, settlement =
         CASE WHEN portal_statuses.code = excluded.code THEN 'known'
              ELSE 'told-otherwise:' || portal_statuses.code END
       WHERE portal_statuses.settled_at IS NULL RETURNING id"""
)
# In order per receipt number, and only after the portal knows that the application arrived.
_CLAIM_STATUSES = text(
    """UPDATE portal_statuses SET attempts = attempts + 1, next_attempt_at = :now
          + make_interval(secs => least(:longest, :first * power(2, least(attempts, 20))))
        WHERE id IN (
          SELECT s.id FROM portal_statuses s WHERE s.settled_at IS NULL AND s.next_attempt_at <= :now
            AND NOT EXISTS (SELECT 1 FROM portal_statuses e WHERE e.receipt_no = s.receipt_no
                            AND e.sequence < s.sequence AND e.settled_at IS NULL)
            AND (SELECT count(*) = 0 OR bool_or(a.confirmed_at IS NOT NULL)
                 FROM portal_applications a WHERE a.receipt_no = s.receipt_no)
          ORDER BY s.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING id, receipt_no, sequence, code, message, occurred_at"""
)
_SETTLED = text("UPDATE portal_statuses SET settled_at = :now, settlement = :settlement WHERE id = :id")

_WAITING = text(
    """SELECT 'application' AS kind, receipt_no, attempts, listed_at AS since, next_attempt_at, NULL AS settlement
       FROM portal_applications WHERE confirmed_at IS NULL
       UNION ALL
       SELECT 'status ' || sequence, receipt_no, attempts, occurred_at, next_attempt_at, settlement
       FROM portal_statuses WHERE settled_at IS NULL OR settlement NOT IN ('sent', 'known')
       ORDER BY since LIMIT 1000"""
)

_OLDEST_WAITING = text(
    """SELECT least((SELECT min(listed_at) FROM portal_applications WHERE confirmed_at IS NULL),
                    (SELECT min(occurred_at) FROM portal_statuses WHERE settled_at IS NULL))"""
)


async def claim_poll(session: AsyncSession, name: str, now: datetime) -> Row[Any] | None:
    """The cursor to poll from when a poll is due, else None."""
    await session.execute(_PORTAL, {"name": name, "now": now})
    return (await session.execute(_CLAIM_POLL, {"name": name, "now": now, **BACK_OFF})).one_or_none()


async def keep_listed(session: AsyncSession, items: Sequence[Listed], now: datetime) -> None:
    """Remember what the list named; what is known already stays as it is."""
    for item in items:
        await session.execute(
            _KEEP_LISTED,
            {
                "id": new_id(),
                "receipt_no": item.receipt_no,
                "revision": item.revision,
                "received_at": item.received_at,
                "mynaportal_procedure_id": item.mynaportal_procedure_id,
                "now": now,
            },
        )


async def polled(
    session: AsyncSession, name: str, *, cursor: str, claimed_until: datetime, next_poll_at: datetime, now: datetime
) -> None:
    """Move the cursor, in the transaction that keeps what lies before it."""
    values = {
        "name": name,
        "cursor": cursor,
        "claimed_until": claimed_until,
        "next_poll_at": next_poll_at,
        "now": now,
    }
    await session.execute(_POLLED, values)


async def poll_now(session: AsyncSession, name: str, now: datetime) -> None:
    """Make a poll due."""
    await session.execute(_PORTAL, {"name": name, "now": now})
    await session.execute(_POLL_NOW, {"name": name, "now": now})


async def claim_applications(session: AsyncSession, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Applications that are due for an attempt."""
    return (await session.execute(_CLAIM_APPLICATIONS, {"now": now, "limit": limit, **BACK_OFF})).all()


async def handed_over(session: AsyncSession, row_id: UUID, acknowledged: Acknowledgement, now: datetime) -> None:
    """Procedures has the package."""
    values = {
        "id": row_id,
        "outcome": acknowledged.outcome,
        "application_id": acknowledged.application_id,
        "reason": acknowledged.reason,
        "now": now,
    }
    await session.execute(_HANDED_OVER, values)


async def confirmed(session: AsyncSession, row_id: UUID, now: datetime) -> None:
    """The portal knows that the package arrived."""
    await session.execute(_CONFIRMED, {"id": row_id, "now": now})


async def keep_status(
    session: AsyncSession,
    *,
    receipt_no: str,
    sequence: int,
    fact: str,
    code: str,
    message: str,
    occurred_at: datetime,
    now: datetime,
) -> None:
    """Remember a status to tell. Its id follows from receipt number and sequence, so a repeat is known as one."""
    values = {
        "id": uuid.uuid5(_STATUS_IDS, f"{receipt_no}:{sequence}"),
        "receipt_no": receipt_no,
        "sequence": sequence,
        "fact": fact,
        "code": code,
        "message": message,
        "occurred_at": occurred_at,
        "now": now,
    }
    await session.execute(_KEEP_STATUS, values)


async def know_status(
    session: AsyncSession,
    *,
    receipt_no: str,
    sequence: int,
    code: str,
    message: str,
    occurred_at: datetime,
    now: datetime,
) -> bool:
    """Remember that the portal was told a status before a restore; whether nobody here knew."""
    values = {
        "id": uuid.uuid5(_STATUS_IDS, f"{receipt_no}:{sequence}"),
        "receipt_no": receipt_no,
        "sequence": sequence,
        "code": code,
        "message": message,
        "occurred_at": occurred_at,
        "now": now,
    }
    return (await session.execute(_KNOW_STATUS, values)).scalar_one_or_none() is not None


async def claim_statuses(session: AsyncSession, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Statuses that are due, at most one per receipt number."""
    return (await session.execute(_CLAIM_STATUSES, {"now": now, "limit": limit, **BACK_OFF})).all()


async def settled(session: AsyncSession, row_id: UUID, settlement: str, now: datetime) -> None:
    """The portal took the status (``sent``) or will never take it (``refused:<status>``)."""
    await session.execute(_SETTLED, {"id": row_id, "settlement": settlement, "now": now})


async def oldest_waiting(session: AsyncSession) -> datetime | None:
    """Since when the oldest application or status waits; what the portal refused for good waits no longer."""
    found: datetime | None = (await session.execute(_OLDEST_WAITING)).scalar_one()
    return found


async def waiting(session: AsyncSession) -> Sequence[Row[Any]]:
    """What has not reached its other side: applications not confirmed, statuses not sent or refused by the portal."""
    return (await session.execute(_WAITING)).all()
