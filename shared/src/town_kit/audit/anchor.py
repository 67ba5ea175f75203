"""Anchoring: the head of the chain is posted to a configured place outside, so that a cut-off end shows."""

from datetime import datetime, timedelta

from sqlalchemy import text

from town_kit import telemetry
from town_kit.clock import Clock
from town_kit.db.engine import Database
from town_kit.http import Breaker, Outbound, Retry, Timeouts, outbound
from town_kit.service import Job

LONGEST = timedelta(seconds=300)
EVERY = timedelta(seconds=60)
_HEAD = text("SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1")


class AnchorPoster:
    """Posts ``{"service", "seq", "hash", "at"}`` to ``<endpoint>/heads`` when the head has moved.

    ``hash`` is hexadecimal, ``at`` ISO 8601. A failed post is tried again at the next run; the age of the last good
    one is the metric ``audit_anchor_age_seconds``, on which an alarm stands at 600 s.
    """

    def __init__(self, database: Database, service: str, endpoint: str, clock: Clock) -> None:
        self._database = database
        self._service = service
        self._clock = clock
        self._posted_seq = 0
        self._posted_at: datetime | None = None
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
        if self._posted_at is not None:
            age = (now - self._posted_at).total_seconds()
            telemetry.gauge("audit_anchor_age_seconds", age, service=self._service)
        async with self._database.begin() as session:
            head = (await session.execute(_HEAD)).one_or_none()
        if head is None or head.seq == self._posted_seq:
            self._posted_at = now
            return 0
        body = {"service": self._service, "seq": head.seq, "hash": bytes(head.hash).hex(), "at": now.isoformat()}
        async with self.client.running():
            answer = await self.client.post("/heads", json=body, idempotent=True)
        answer.raise_for_status()
        self._posted_seq, self._posted_at = head.seq, now
        return 0

    def job(self) -> Job:
        """The worker's job."""
        return Job("audit-anchor", min(EVERY, LONGEST), self.post)
