"""Sixty-four in flight; the last eight belong to the emergency lane; the others are told at once."""

import asyncio
import time

import httpx

from town_kit.admission import Admission
from town_kit.asgi import Receive, Scope, Send


class Slow:
    """Holds every request until it is let go."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def is_emergency(scope: Scope) -> bool:
    return bool(scope["path"] == "/emergency")


async def test_who_does_not_fit_is_told_at_once_and_the_emergency_lane_still_gets_through() -> None:
    slow = Slow()
    admission = Admission(slow, privileged=is_emergency)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=admission), base_url="http://town")
    held = [asyncio.create_task(client.get("/")) for _ in range(56)]
    await asyncio.sleep(0.05)

    began = time.perf_counter()
    refused = await client.get("/")
    took = time.perf_counter() - began
    emergency = [asyncio.create_task(client.get("/emergency")) for _ in range(8)]
    await asyncio.sleep(0.05)
    one_too_many = await client.get("/emergency")
    slow.release.set()
    answers = await asyncio.gather(*held, *emergency)

    assert refused.status_code == one_too_many.status_code == 503
    assert refused.json()["type"] == "urn:town:problem:overloaded"
    assert refused.headers["retry-after"] == "1"
    assert took < 0.05
    assert {answer.status_code for answer in answers} == {200}
    assert admission.in_flight == 0


async def test_health_is_answered_however_full_the_process_is() -> None:
    slow = Slow()
    admission = Admission(slow, slots=8, kept=8)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=admission), base_url="http://town")
    slow.release.set()

    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/")).status_code == 503


async def test_a_request_that_fails_gives_its_slot_back() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    admission = Admission(broken)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=admission, raise_app_exceptions=False), base_url="http://town"
    )
    await client.get("/")

    assert admission.in_flight == 0


async def test_while_a_line_stands_half_of_the_slots_are_for_those_who_come_again() -> None:
    slow = Slow()
    admission = Admission(slow, slots=12, kept=4)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=admission), base_url="http://town")
    ours, others = {"Idempotency-Key": "ours"}, {"Idempotency-Key": "others"}
    first = [asyncio.create_task(client.get("/")) for _ in range(8)]
    await asyncio.sleep(0.05)
    told = [await client.post("/", headers={"Idempotency-Key": f"{n}"}) for n in range(5)]
    refused = await client.post("/", headers=ours)
    slow.release.set()
    await asyncio.gather(*first)
    slow.release.clear()

    held = [asyncio.create_task(client.get("/")) for _ in range(4)]
    await asyncio.sleep(0.05)
    newcomer = await client.post("/", headers=others)
    again = asyncio.create_task(client.post("/", headers=ours))
    await asyncio.sleep(0.05)
    assert not again.done()
    slow.release.set()
    answers = await asyncio.gather(*held, again)

    assert {answer.status_code for answer in (*told, refused, newcomer)} == {503}
    assert {answer.status_code for answer in answers} == {200}


async def test_without_a_line_every_slot_is_for_whoever_comes() -> None:
    slow = Slow()
    admission = Admission(slow, slots=12, kept=4)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=admission), base_url="http://town")
    held = [asyncio.create_task(client.get("/")) for _ in range(8)]
    await asyncio.sleep(0.05)
    slow.release.set()

    assert {answer.status_code for answer in await asyncio.gather(*held)} == {200}
