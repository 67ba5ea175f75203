"""When the gateway is full, an emergency message still goes out, and nothing but an emergency message does."""

import asyncio
from typing import Any

from town_kit import http
from town_kit.asgi import Receive, Scope, Send
from town_kit.auth import Role
from town_kit.ids import new_id
from town_kit.testing.auth import Issuer

EMERGENCY = "/notifications/v1/emergency-messages"


async def test_the_kept_slots_open_for_the_emergency_scope_alone(
    started: Any, gateway_settings: Any, issuer: Issuer
) -> None:
    release, name = asyncio.Event(), f"procedures-{new_id()}"

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    http.register_app(name, slow)
    addresses = {**gateway_settings.addresses, "procedures": f"asgi:{name}"}
    settings = gateway_settings.model_copy(update={"addresses": addresses, "slots": 9})
    staff = issuer.headers(Role.STAFF, "applications:read")
    sender = issuer.headers(Role.STAFF, "emergency-messages:send")
    async with started(settings) as gateway:
        held = asyncio.create_task(gateway.get("/procedures/v1/applications", headers=staff))
        await asyncio.sleep(0.1)
        ordinary = await gateway.get("/procedures/v1/applications", headers=staff)
        pretender = await gateway.post(EMERGENCY, headers=staff)
        anonymous = await gateway.post(EMERGENCY)
        emergency = await gateway.post(EMERGENCY, headers=sender)
        elsewhere = await gateway.get("/procedures/v1/applications", headers=sender)
        health = await gateway.get("/livez")
        release.set()
        await held

    assert {answer.status_code for answer in (ordinary, pretender, anonymous, elsewhere)} == {503}
    assert ordinary.headers["retry-after"] == "1"
    assert emergency.status_code == 201
    assert health.status_code == 200
