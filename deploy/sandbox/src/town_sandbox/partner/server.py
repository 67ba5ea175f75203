"""``POST /town`` takes the town's callbacks (Standard Webhooks); ``POST /_register`` makes the partner register.

What holds is kept as ``told``, with ``repeated`` when its id was taken before; what does not is kept as ``refused``
and answered 401. Faults of its own: ``gone`` (410), ``error`` (500), ``redirect`` (302 to a path that keeps ``lured``).
"""

import asyncio
import json
from typing import Any

from standardwebhooks import Webhook
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from town_kit.clock import Clock, SystemClock
from town_sandbox.configuration import Place, write_json
from town_sandbox.core_system.linkage import TownAway
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Faults
from town_sandbox.ledger import Ledger
from town_sandbox.partner.registration import Registration

_OWN_FAULTS = {"gone": 410, "error": 500, "redirect": 302}


def create(place: Place, clock: Clock | None = None) -> Counterpart:
    """The partner, what it was told in ``partner.jsonl``, its secrets in ``partner.json``."""
    time = clock or SystemClock()
    ledger = Ledger(place.directory / "partner.jsonl", time)
    faults = Faults(_OWN_FAULTS)
    kept = place.directory / "partner.json"

    async def register(request: Request) -> Response:
        """Register ``/town`` of this server."""
        registration = Registration(place.credentials.partner, time)
        try:
            callback_id, secrets = await registration.register(
                place.config, f"{str(request.base_url).rstrip('/')}/town"
            )
        except TownAway as away:
            return JSONResponse({"error": str(away)}, 502)
        await asyncio.to_thread(write_json, kept, {"callback_id": callback_id, "secrets": secrets}, mode=0o600)
        return JSONResponse({"callback_id": callback_id}, 201)

    async def told(request: Request) -> Response:
        """One callback."""
        body, message_id = await request.body(), request.headers.get("webhook-id", "")
        fault = faults.take(_OWN_FAULTS, request.url.path)
        if fault is not None:
            await ledger.append("failed", message_id=message_id, fault=fault.kind)
            return Response(status_code=_OWN_FAULTS[fault.kind], headers={"Location": "/_lured"})
        secrets = json.loads(await asyncio.to_thread(kept.read_bytes))["secrets"] if kept.exists() else []
        document = next((found for secret in secrets if (found := _opened(secret, body, request)) is not None), None)
        if document is None:
            await ledger.append("refused", message_id=message_id)
            return Response(status_code=401)
        repeated = bool(ledger.find("told", message_id=message_id))
        await ledger.append("told", message_id=message_id, repeated=repeated, **document)
        return Response(status_code=204)

    async def lured(_: Request) -> Response:
        """Where the redirect leads; the town does not come."""
        await ledger.append("lured")
        return Response(status_code=204)

    routes = [
        Route("/town", told, methods=["POST"]),
        Route("/_register", register, methods=["POST"]),
        Route("/_lured", lured, methods=["GET", "POST"]),
    ]
    return counterpart("partner", routes, ledger, faults)


def _opened(secret: str, body: bytes, request: Request) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = Webhook(secret).verify(body, dict(request.headers))
    except Exception:  # the library raises more than its own error
        return None
    return {"type": found["type"], "timestamp": found["timestamp"], "data": found["data"]}
