"""One limit for all workers: in total, not each; told in headers; and never a reason to shut everybody out."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from town_gateway.rate_limit import Limit, RateLimiter
from town_kit.clock import FixedClock
from town_kit.db import Database
from town_kit.ids import new_id

LIMITS = {"vendor": Limit(quota=200, window=60), "sign-in": Limit(quota=5, window=60)}


@pytest.fixture
def caller() -> str:
    return str(new_id())


@pytest.mark.case("D-26")
async def test_four_workers_together_keep_one_limit(gateway_database: Database, caller: str) -> None:
    clock = FixedClock("2027-01-04T09:00:10+09:00")
    workers = [RateLimiter(gateway_database, LIMITS, clock) for _ in range(4)]
    allowed: Counter[bool] = Counter()

    for _ in range(25):
        verdicts = await asyncio.gather(*(w.take("vendor", caller) for w in workers for _ in range(10)))
        allowed.update(verdict.allowed for verdict in verdicts)

    assert 190 <= allowed[True] <= 200
    assert allowed[False] == 1000 - allowed[True]


async def test_another_caller_and_the_next_window_start_anew(gateway_database: Database, caller: str) -> None:
    clock = FixedClock("2027-01-04T09:00:10+09:00")
    limiter = RateLimiter(gateway_database, LIMITS, clock)
    verdicts = [await limiter.take("sign-in", caller) for _ in range(6)]
    other = await limiter.take("sign-in", str(new_id()))
    clock.advance(LIMITS["sign-in"].window * timedelta(seconds=1))
    later = await limiter.take("sign-in", caller)

    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False]
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0]
    assert verdicts[-1].reset == 50
    assert other.allowed
    assert later.allowed


async def test_the_headers_are_structured_fields(gateway_database: Database, caller: str) -> None:
    limiter = RateLimiter(gateway_database, LIMITS, FixedClock("2027-01-04T09:00:10+09:00"))

    headers = dict((await limiter.take("sign-in", caller)).headers())

    assert headers == {b"ratelimit-policy": b'"sign-in";q=5;w=60', b"ratelimit": b'"sign-in";r=4;t=50'}


async def test_without_its_table_the_limit_shuts_nobody_out(caller: str) -> None:
    nowhere = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    limiter = RateLimiter(nowhere, LIMITS, FixedClock("2027-01-04T09:00:10+09:00"))

    assert (await limiter.take("sign-in", caller)).allowed


async def test_old_windows_are_forgotten_and_no_address_is_kept(gateway_database: Database, caller: str) -> None:
    clock = FixedClock("2020-01-01T09:00:00+09:00")
    limiter = RateLimiter(gateway_database, LIMITS, clock)
    await limiter.take("sign-in", caller)
    clock.advance(timedelta(minutes=10))

    assert await limiter.forget_old_windows() >= 1
    async with gateway_database.begin() as session:
        columns = (
            await session.execute(
                text("SELECT column_name FROM information_schema.columns WHERE table_name = 'rate_limits'")
            )
        ).scalars()
    assert set(columns) == {"bucket", "window_start", "used"}
