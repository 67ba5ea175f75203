"""What is stuck between the portal and the town is told: by a figure, and in `/readyz` without stopping the work."""

from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import text
from starlette.applications import Starlette

from town_gateway.mynaportal.watch import ALARM, nothing_is_stuck, waited, watch_job
from town_kit import telemetry
from town_kit.health import health_routes

PACKAGE = b"PK\x03\x04" + b"raw bytes" * 100


def told() -> float:
    return telemetry._pipeline.gauges["portal_oldest_waiting_seconds", ()]


async def readiness(connected: Any) -> tuple[int, str]:
    async def alarm() -> None:
        await nothing_is_stuck(connected.database, connected.clock)

    app = Starlette(routes=health_routes({"portal": alarm}, told={"portal"}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://worker") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()["checks"]["portal"]


async def test_a_package_that_does_not_get_on_raises_an_alarm_until_it_does(connected: Any) -> None:
    async with connected.database.begin() as session:
        await session.execute(text("UPDATE portal_statuses SET settled_at = now(), settlement = 'sent'"))
        await session.execute(text("UPDATE portal_applications SET confirmed_at = now()"))
    job = watch_job(connected.database, connected.clock)
    assert await waited(connected.database, connected.clock) == timedelta()
    await connected.files(PACKAGE)
    await connected.poller.poll()
    connected.door.status = 503
    assert await connected.poller.carry() == 0

    connected.clock.advance(ALARM + timedelta(seconds=1))
    await job.run()

    assert told() == ALARM.total_seconds() + 1
    assert await readiness(connected) == (200, "failed")

    connected.door.status = 201
    assert await connected.poller.carry() == 1
    await job.run()
    assert told() == 0
    assert await readiness(connected) == (200, "ok")
