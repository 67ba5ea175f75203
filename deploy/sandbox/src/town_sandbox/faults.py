"""Faults one can switch on at a counterpart: ``POST /_faults``, ``DELETE /_faults``, ``GET /_received``.

Kinds every HTTP counterpart has:

=============  ==================================================================================================
``refuse``     the connection is reset before anything happens (``kind: unavailable`` answers 503 instead)
``timeout``    nothing happens and no answer comes for ``seconds`` (60), then the connection is reset
``slow``       the work is done after ``seconds`` (2)
``drop_reply`` the work **is done** and the connection is reset without an answer
=============  ==================================================================================================

A counterpart may know further kinds of its own, which it takes by :meth:`Faults.take`.
"""

import asyncio
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from town_sandbox.ledger import Ledger, counts

COMMON = frozenset({"refuse", "unavailable", "timeout", "slow", "drop_reply"})
_SECONDS = {"timeout": 60.0, "slow": 2.0}


@dataclass
class Fault:
    """One fault that is switched on, for ``count`` more requests whose path holds ``path``."""

    kind: str
    count: int = 1
    path: str = ""
    seconds: float = 0.0


class Faults:
    """The faults of one counterpart."""

    def __init__(self, own_kinds: Collection[str] = ()) -> None:
        self.kinds = COMMON | frozenset(own_kinds)
        self.active: list[Fault] = []

    def add(self, kind: str, *, count: int = 1, path: str = "", seconds: float | None = None) -> Fault:
        """Switch one on. ``ValueError`` for a kind this counterpart does not know."""
        if kind not in self.kinds or count < 1:
            raise ValueError(f"unknown fault; known: {', '.join(sorted(self.kinds))}")
        fault = Fault(kind, count, path, _SECONDS.get(kind, 0.0) if seconds is None else seconds)
        self.active.append(fault)
        return fault

    def is_on(self, kind: str) -> bool:
        """Whether one of this kind is active; it is not counted down."""
        return any(fault.kind == kind for fault in self.active)

    def take(self, kinds: Collection[str], path: str = "") -> Fault | None:
        """The first active fault of these kinds for this path, counted down; ``None`` when there is none."""
        for fault in self.active:
            if fault.kind in kinds and fault.path in path:
                fault.count -= 1
                if fault.count == 0:
                    self.active.remove(fault)
                return fault
        return None


class FaultMiddleware:
    """Applies the common faults around a counterpart; its own control routes (``/_…``) are never touched."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            await self.app(scope, receive, send)
            return
        fault = self.faults.take(COMMON, scope["path"])
        match fault.kind if fault else None:
            case "refuse":
                await _reset(send)
            case "timeout":
                assert fault is not None
                await asyncio.sleep(fault.seconds)
                await _reset(send)
            case "unavailable":
                answer = Response("unavailable", 503, headers={"Retry-After": "1"})
                await answer(scope, receive, send)
            case "drop_reply":
                await self.app(scope, receive, _swallow)
                await _reset(send)
            case _:
                if fault:
                    await asyncio.sleep(fault.seconds)
                await self.app(scope, receive, send)


async def _swallow(message: Message) -> None:
    """Take an answer and give it to nobody."""


async def _reset(send: Send) -> None:
    """Cut the connection. uvicorn's ``send`` belongs to an object that holds the transport; elsewhere: a torn body."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if isinstance(transport, asyncio.BaseTransport) and hasattr(transport, "abort"):
        transport.abort()
        await asyncio.sleep(0)
        return
    await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"1")]})


def control_routes(ledger: Ledger, faults: Faults) -> list[Route]:
    """``/_faults`` and ``/_received``: the same three calls at every counterpart."""

    async def add(request: Request) -> Response:
        wanted: dict[str, Any] = await request.json()
        try:
            fault = faults.add(**wanted)
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse(asdict(fault), 201)

    async def clear(_request: Request) -> Response:
        faults.active.clear()
        return Response(status_code=204)

    async def show(_request: Request) -> Response:
        return JSONResponse({"active": [asdict(f) for f in faults.active], "kinds": sorted(faults.kinds)})

    async def received(request: Request) -> Response:
        """Filter by ``kind=`` and any other field; ``after=n`` gives what came since."""
        wanted = dict(request.query_params)
        after = int(wanted.pop("after", 0))
        found = [e for e in ledger.entries[after:] if all(str(e.get(k)) == v for k, v in wanted.items())]
        return JSONResponse({"count": len(found), "kinds": counts(found), "entries": found})

    return [
        Route("/_faults", add, methods=["POST"]),
        Route("/_faults", clear, methods=["DELETE"]),
        Route("/_faults", show, methods=["GET"]),
        Route("/_received", received, methods=["GET"]),
    ]
