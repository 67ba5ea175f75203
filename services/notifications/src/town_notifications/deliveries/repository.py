"""Every query of deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from town_notifications.channels import Channel, Lane
from town_notifications.deliveries.domain import LEASE, State
from town_notifications.deliveries.models import Delivery


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery this worker holds until its lease is over, with what it takes to carry it out.

    ``address`` is None when the device or the address is no longer registered. ``sent_before``: the provider's list
    says that it took this id before a restore.
    """

    id: UUID
    message_id: UUID
    channel: Channel
    target_id: UUID
    tries: int
    address: str | None
    language: str
    title: str
    body: str
    valid_until: datetime
    read_at: datetime | None
    application_id: UUID | None
    sent_before: bool


_CLAIM = text(
    """WITH due AS (
         SELECT id FROM deliveries
          WHERE lane = :lane AND channel = :channel AND state IN ('queued', 'sending') AND next_attempt_at <= :now
          ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED),
       claimed AS (
         UPDATE deliveries d SET state = 'sending', tries = d.tries + 1, next_attempt_at = :lease
           FROM due WHERE d.id = due.id
         RETURNING d.id, d.message_id, d.channel, d.target_id, d.tries)
       SELECT c.id, c.message_id, c.channel, c.target_id, c.tries, coalesce(e.push_token, p.address) AS address,
              m.language, m.title, m.body, m.valid_until, m.read_at, m.application_id,
              EXISTS (SELECT FROM sent_before_restore s WHERE s.delivery_id = c.id) AS sent_before
         FROM claimed c JOIN messages m ON m.id = c.message_id
         LEFT JOIN devices e ON c.channel = 'push' AND e.id = c.target_id
         LEFT JOIN contact_points p ON c.channel = 'email' AND p.id = c.target_id AND p.state = 'confirmed'"""
)

# A lease that was lost to another worker is not touched: the number of tries says whose attempt it was.
_MARK = text(
    """UPDATE deliveries d SET state = r.state, last_code = r.code, provider_id = r.provider_id,
              next_attempt_at = r.next_attempt_at,
              ended_at = CASE WHEN r.state = 'queued' THEN NULL
                              ELSE greatest(cast(:now AS timestamptz), d.created_at) END
         FROM unnest(cast(:ids AS uuid[]), cast(:tries AS int[]), cast(:states AS text[]), cast(:codes AS text[]),
                     cast(:providers AS text[]), cast(:nexts AS timestamptz[]))
              AS r (id, tries, state, code, provider_id, next_attempt_at)
        WHERE d.id = r.id AND d.state = 'sending' AND d.tries = r.tries"""
)

_SUMMARY = text(
    """SELECT message_id, min(channel) FILTER (WHERE state = 'sent') AS sent_by,
              bool_or(state IN ('queued', 'sending')) AS pending
         FROM deliveries WHERE message_id = ANY(cast(:ids AS uuid[])) AND channel <> 'inbox' GROUP BY message_id"""
)

_COUNTS = text(
    """SELECT channel, state, count(*) FROM deliveries WHERE emergency_message_id = :id
        GROUP BY channel, state ORDER BY channel, state"""
)


async def claim(session: AsyncSession, *, lane: Lane, channel: Channel, limit: int, now: datetime) -> list[Claimed]:
    """Take up to ``limit`` deliveries that are due, also those whose worker died."""
    parameters = {"lane": lane, "channel": channel, "now": now, "lease": now + LEASE, "limit": limit}
    rows = (await session.execute(_CLAIM, parameters)).all()
    return [Claimed(**{**row._mapping, "channel": channel}) for row in rows]


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of one attempt, as it is written down."""

    id: UUID
    tries: int
    state: State
    code: str
    provider_id: str | None
    next_attempt_at: datetime | None


async def mark(session: AsyncSession, marks: Sequence[Mark], *, now: datetime) -> None:
    """Write down how attempts ended."""
    await session.execute(
        _MARK,
        {
            "ids": [m.id for m in marks],
            "tries": [m.tries for m in marks],
            "states": [m.state.value for m in marks],
            "codes": [m.code for m in marks],
            "providers": [m.provider_id for m in marks],
            "nexts": [m.next_attempt_at for m in marks],
            "now": now,
        },
    )


async def summaries(session: AsyncSession, message_ids: Sequence[UUID]) -> dict[UUID, tuple[str | None, bool]]:
    """For each message: a channel that has it, and whether an attempt is still to come; the inbox does not count."""
    rows = (await session.execute(_SUMMARY, {"ids": list(message_ids)})).all()
    return {row.message_id: (row.sent_by, row.pending) for row in rows}


async def cancel_queued(session: AsyncSession, message_ids: Sequence[UUID], state: State, *, at: datetime) -> None:
    """Stop the deliveries of messages that ended otherwise; one in flight is left to its worker."""
    query = update(Delivery).where(Delivery.message_id.in_(message_ids), Delivery.state == State.QUEUED.value)
    await session.execute(query.values(state=state.value, ended_at=at, next_attempt_at=None))


async def counts_of_emergency(session: AsyncSession, emergency_message_id: UUID) -> list[tuple[str, str, int]]:
    """(channel, state, count) of an emergency message's deliveries."""
    rows = (await session.execute(_COUNTS, {"id": emergency_message_id})).all()
    return [(row[0], row[1], int(row[2])) for row in rows]
