"""Anchoring: the head of the chain is posted to a configured place outside, so that a cut-off end shows.

How far the chain is anchored stands in the inbox, like the place of a consumer: it outlives the process, and every
process can tell how long the oldest link has been waiting.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit import telemetry
from town_kit.audit.chain import stream_id
from town_kit.breaker import Breaker
from town_kit.clock import Clock
from town_kit.db.engine import Database
from town_kit.http import Outbound, Retry, Timeouts, outbound
from town_kit.service import Job

log = structlog.get_logger(__name__)
ALARM = timedelta(seconds=600)
EVERY = timedelta(seconds=60)
_CONSUMER = "audit-anchor"
_HEAD = text("SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1")
_POSTED = text("SELECT sequence FROM inbox WHERE consumer = :consumer AND topic = :topic AND key = :key")
_WAITING_SINCE = text("SELECT chained_at FROM audit_chain WHERE seq > :posted ORDER BY seq LIMIT 1")
_MARK = text(
    "INSERT INTO inbox (consumer, topic, key, sequence) VALUES (:consumer, :topic, :key, :seq)"
    " ON CONFLICT (consumer, topic, key) DO UPDATE SET sequence = excluded.sequence"
)


async def anchor_age(database: Database, service: str, now: datetime) -> timedelta:
    """How long the oldest link that is not anchored has been waiting; zero when there is none."""
    async with database.begin() as session:
        since = await _waiting_since(session, service)
    return max(now - since, timedelta(0)) if since else timedelta(0)


async def _waiting_since(session: AsyncSession, service: str) -> datetime | None:
    # What was posted is a value of its own: row security lets an index look for a value, not for an expression.
    found = await session.execute(_WAITING_SINCE, {"posted": await _posted(session, service) or 0})
    since: datetime | None = found.scalar_one_or_none()
    return since


async def _posted(session: AsyncSession, service: str) -> int | None:
    posted: int | None = (await session.execute(_POSTED, _place(service))).scalar_one_or_none()
    return posted


def _place(service: str) -> dict[str, object]:
    return {"consumer": _CONSUMER, "topic": f"{service}.audit-batches", "key": stream_id(service)}


class AnchorPoster:
    """Posts ``{"service", "seq", "hash", "at"}`` to ``<endpoint>/heads`` when the head has moved.

    ``hash`` is hexadecimal, ``at`` ISO 8601. A failed post is tried again at the next run; how long the oldest link
    waits is the metric ``audit_anchor_age_seconds``: at most 300 s in order, an alarm from 600 s on, which
    ``/readyz`` tells too.
    """

    def __init__(self, database: Database, service: str, endpoint: str, clock: Clock) -> None:
        self._database = database
        self._service = service
        self._clock = clock
        self.client: Outbound = outbound(
            "audit-anchor",
            endpoint,
            timeout=Timeouts(connect=2, read=5, total=20),
            retry=Retry(attempts=3),
            breaker=Breaker(failures=5, pause=30),
        )

    async def post(self) -> int:
        """Post the head if it has moved since the last post.

        Raises:
            DependencyUnavailable: the place outside does not answer.
        """
        now = self._clock.now()
        await self._tell(now)
        async with self._database.begin() as session:
            head = (await session.execute(_HEAD)).one_or_none()
            posted = await _posted(session, self._service)
        if head is None or head.seq == posted:
            return 0
        body = {"service": self._service, "seq": head.seq, "hash": bytes(head.hash).hex(), "at": now.isoformat()}
        async with self.client.running():
            answer = await self.client.post("/heads", json=body, idempotent=True)
        answer.raise_for_status()
        async with self._database.begin() as session:
            await session.execute(_MARK, _place(self._service) | {"seq": head.seq})
        await self._tell(self._clock.now())
        return 0

    async def _tell(self, now: datetime) -> None:
        age = await anchor_age(self._database, self._service, now)
        telemetry.gauge("audit_anchor_age_seconds", age.total_seconds(), service=self._service)
        if age > ALARM:
            log.error("audit_anchor_late", service=self._service, seconds=int(age.total_seconds()))

    def job(self) -> Job:
        """The worker's job."""
        return Job("audit-anchor", EVERY, self.post)
