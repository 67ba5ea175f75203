"""Two hundred connections that send a byte a second: none is kept, and what must answer answers meanwhile."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from town_gateway.main import create_gateway, create_service
from town_kit.auth import Role
from town_kit.testing.auth import Issuer

CONNECTIONS, LONGEST = 200, 15.0
EMERGENCY = "/notifications/v1/emergency-messages"


async def drip(port: int, head: bytes) -> tuple[int, float]:
    """Send a byte a second until the other side ends it: the status it answered, and after how many seconds."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    answer = asyncio.create_task(reader.read())
    try:
        while not answer.done():
            writer.write(b"{")
            await asyncio.wait([answer], timeout=1.0)
        said = await answer
    except ConnectionError:
        said = b""
    writer.close()
    status = int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0
    return status, time.monotonic() - began


@pytest.mark.case("D-27")
@pytest.mark.timeout(60)
async def test_slow_bodies_are_ended_and_health_and_emergencies_answer_meanwhile(
    gateway_settings: Any, served: Any, issuer: Issuer
) -> None:
    app = create_gateway(create_service(gateway_settings))
    resident = issuer.headers(Role.RESIDENT, "applications:submit")["Authorization"]
    sender = dict(issuer.headers(Role.STAFF, "emergency-messages:send"))
    asked = f"Host: town\r\nContent-Type: application/json\r\nContent-Length: 100000\r\nAuthorization: {resident}\r\n"
    known = f"POST /procedures/v1/applications HTTP/1.1\r\n{asked}\r\n".encode()
    unknown = known.replace(resident.encode(), b"Bearer nothing")
    took: list[float] = []
    async with app.app.own.router.lifespan_context(app.app.own), served(app) as address:
        port = int(address.rsplit(":", 1)[1])
        slow = [asyncio.create_task(drip(port, unknown if number % 4 == 3 else known)) for number in range(CONNECTIONS)]
        await asyncio.sleep(0.5)
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            while not all(each.done() for each in slow):
                for method, path, headers in (("GET", "/livez", {}), ("POST", EMERGENCY, sender)):
                    began = time.monotonic()
                    answer = await client.request(method, path, headers=headers, json={} if method == "POST" else None)
                    took.append(time.monotonic() - began)
                    assert answer.status_code in {200, 201}, (path, answer.status_code)
                await asyncio.sleep(0.1)
        ended = [await each for each in slow]
    statuses = [status for status, _ in ended]
    assert set(statuses) <= {408, 503, 401}
    assert statuses.count(408) >= 40  # those that had a slot
    assert max(seconds for _, seconds in ended) <= LONGEST
    took.sort()
    assert len(took) > 50
    assert took[int(len(took) * 0.99) - 1] < 0.5
    assert app.in_flight == 0
