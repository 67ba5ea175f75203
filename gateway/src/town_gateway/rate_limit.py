"""Rate limits shared by all workers (流量制限), told in ``RateLimit`` headers (draft-ietf-httpapi-ratelimit-headers).

A worker does not ask the database at each request: it leases a block of tokens from an UNLOGGED table and counts them
down in memory. A block is one hundredth of the quota, so that what a few workers hold unused stays within a few per
cent. The table may be lost in a crash of the database: then a window starts anew, which is what a limit can afford.
"""

import asyncio
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from pydantic import BaseModel, Field
from sqlalchemy import text

from town_kit.asgi import Header
from town_kit.clock import Clock
from town_kit.db import Database

log = structlog.get_logger(__name__)

BLOCKS_PER_QUOTA = 100
REMEMBER_AT_MOST = 20_000
_LEASE = text(
    """INSERT INTO rate_limits AS r (bucket, window_start, used) VALUES (:bucket, :window_start, :block)
       ON CONFLICT (bucket, window_start) DO UPDATE SET used = r.used + excluded.used WHERE r.used < :quota
       RETURNING used"""
)
_FORGET = text("DELETE FROM rate_limits WHERE window_start < :before")


class Limit(BaseModel, frozen=True):
    """A quota of requests per window of seconds."""

    quota: int = Field(ge=1)
    window: int = Field(60, ge=1, le=86_400)

    @property
    def block(self) -> int:
        """How many tokens a worker leases at once."""
        return max(1, self.quota // BLOCKS_PER_QUOTA)


@dataclass(slots=True)
class Lease:
    """What a worker holds of one bucket in one window."""

    window_start: int
    tokens: int = 0
    left_elsewhere: int = 0
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one request: allowed or not, what is left, and in how many seconds the window ends."""

    allowed: bool
    policy: str
    limit: Limit
    remaining: int
    reset: int

    def headers(self) -> tuple[Header, Header]:
        """``RateLimit-Policy`` and ``RateLimit`` as structured fields."""
        return (
            (b"ratelimit-policy", f'"{self.policy}";q={self.limit.quota};w={self.limit.window}'.encode()),
            (b"ratelimit", f'"{self.policy}";r={self.remaining};t={self.reset}'.encode()),
        )


class RateLimiter:
    """Counts requests per caller.

    Args:
        database: the gateway's; it holds the shared count.
        limits: policy name → limit.
        clock: windows are aligned to it.
    """

    def __init__(self, database: Database, limits: Mapping[str, Limit], clock: Clock) -> None:
        self._engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._limits = dict(limits)
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def take(self, policy: str, caller: str) -> Verdict:
        """Take one token of ``caller`` under ``policy``."""
        limit = self._limits[policy]
        now = self._clock.now().timestamp()
        window_start = int(now) // limit.window * limit.window
        key = f"{policy}\n{caller}"
        lease = self._leases.get(key)
        if lease is None or lease.window_start != window_start:
            lease = self._begin(key, window_start)
        while lease.tokens < 1 and not lease.exhausted:
            await self._more(key, limit, lease)
        reset = math.ceil(window_start + limit.window - now)
        if lease.tokens < 1:
            return Verdict(allowed=False, policy=policy, limit=limit, remaining=0, reset=reset)
        lease.tokens -= 1
        remaining = lease.tokens + lease.left_elsewhere
        return Verdict(allowed=True, policy=policy, limit=limit, remaining=remaining, reset=reset)

    def _begin(self, key: str, window_start: int) -> Lease:
        if len(self._leases) >= REMEMBER_AT_MOST:
            self._leases = {key: lease for key, lease in self._leases.items() if lease.window_start >= window_start}
        if len(self._leases) >= REMEMBER_AT_MOST:
            self._leases.clear()
        lease = self._leases[key] = Lease(window_start)
        return lease

    async def _more(self, key: str, limit: Limit, lease: Lease) -> None:
        """Lease a block; requests that wait for the same bucket share one question to the database."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._lease(key, limit, lease))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        await asyncio.shield(asking)

    async def _lease(self, key: str, limit: Limit, lease: Lease) -> None:
        bucket = hashlib.blake2b(key.encode(), digest_size=16).digest()  # an address is personal data: kept as a hash
        values = {"bucket": bucket, "window_start": lease.window_start, "block": limit.block, "quota": limit.quota}
        try:
            async with self._engine.connect() as connection:
                used = (await connection.execute(_LEASE, values)).scalar_one_or_none()
        except Exception as failure:  # whatever it is: without its table each worker counts for itself
            log.warning("rate_limit_table_out_of_reach", reason=type(failure).__name__)
            lease.tokens += limit.block
            return
        if used is None:
            lease.exhausted = True
            return
        lease.tokens += min(limit.block, limit.quota - (used - limit.block))
        lease.left_elsewhere = max(0, limit.quota - used)

    async def forget_old_windows(self) -> int:
        """Remove the counts of windows that ended; returns how many."""
        longest = max(limit.window for limit in self._limits.values())
        before = self._clock.now() - timedelta(seconds=2 * longest)
        async with self._engine.connect() as connection:
            done = await connection.execute(_FORGET, {"before": int(before.timestamp())})
        return max(0, done.rowcount)
