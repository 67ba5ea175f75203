"""``/livez`` says that the process answers; ``/readyz`` that it has what it needs to do its work."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LONGEST_CHECK_SECONDS = 2.0
REMEMBER_SECONDS = 1.0


def health_routes(checks: Mapping[str, Callable[[], Awaitable[None]]], *, told: Collection[str] = ()) -> list[Route]:
    """The two routes. A check raises when it fails; only its name is told, never what it said.

    Checks run side by side, each for at most 2 s; what they found is remembered for a second, so that a crowd of
    probes costs no more than one.

    Args:
        checks: name → check.
        told: names of checks whose failure is told and leaves the process ready all the same.
    """
    found: dict[str, str] = {}
    judged_at = 0.0
    judging = asyncio.Lock()

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        nonlocal judged_at
        async with judging:
            if time.monotonic() - judged_at > REMEMBER_SECONDS:
                results = await asyncio.gather(*(_passes(check) for check in checks.values()))
                found.update(zip(checks, results, strict=True))
                judged_at = time.monotonic()
        ready = all(result == "ok" for name, result in found.items() if name not in told)
        body = {"status": "ready" if ready else "unready", "checks": dict(found)}
        headers = {"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "2"})
        return JSONResponse(body, 200 if ready else 503, headers)

    return [Route("/livez", livez, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]


async def _passes(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(LONGEST_CHECK_SECONDS):
            await check()
    except Exception:
        return "failed"
    return "ok"
