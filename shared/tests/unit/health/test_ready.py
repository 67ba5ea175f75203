"""What the probes are told."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from town_kit import health


def client(checks: dict[str, object], told: tuple[str, ...] = ()) -> httpx.AsyncClient:
    app = Starlette(routes=health.health_routes(checks, told=told))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


async def good() -> None:
    return None


async def test_a_process_that_answers_is_alive_and_ready_when_all_checks_pass() -> None:
    async with client({"database": good}) as asking:
        assert (await asking.get("/livez")).json() == {"status": "alive"}
        assert (await asking.get("/readyz")).json() == {"status": "ready", "checks": {"database": "ok"}}


async def test_a_failing_or_hanging_check_is_named_and_nothing_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LONGEST_CHECK_SECONDS", 0.05)

    async def bad() -> None:
        raise OSError("postgresql://user:password@10.0.0.1")

    async def hanging() -> None:
        await asyncio.sleep(10)

    async with client({"database": bad, "event_log": hanging, "schema": good}) as asking:
        answer = await asking.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["checks"] == {"database": "failed", "event_log": "failed", "schema": "ok"}
    assert "password" not in answer.text


async def test_what_is_only_told_leaves_a_process_ready() -> None:
    async def bad() -> None:
        raise OSError

    async with client({"database": good, "event_log": bad}, told=("event_log",)) as asking:
        answer = await asking.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "event_log": "failed"}}


async def test_a_crowd_of_probes_costs_one_check() -> None:
    asked = 0

    async def counting() -> None:
        nonlocal asked
        asked += 1

    async with client({"a": counting}) as asking:
        await asyncio.gather(*(asking.get("/readyz") for _ in range(10)))
    assert asked == 1
