"""What a process of the town runs inside: applications on sockets that were bound before the fork, and workers."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvicorn

from town_kit import loop, telemetry
from town_kit.asgi import App

GRACE_SECONDS = 10


@dataclass(frozen=True)
class Listener:
    """An application and the sockets it answers on."""

    app: App
    sockets: Sequence[socket.socket]


class _Server(uvicorn.Server):
    """One of several servers in a process: signals are the process's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def run(body: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run ``body`` on a new loop until it ends; SIGTERM and SIGINT set the event it is given."""

    async def main() -> None:
        stop = asyncio.Event()
        for kind in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(kind, stop.set)
        try:
            await body(stop)
        finally:
            telemetry.shutdown()  # code after the loop is not sure to run

    loop.run(main())
    return 0


@asynccontextmanager
async def serving(listeners: Sequence[Listener]) -> AsyncIterator[None]:
    """Answer on every listener while the block runs; then finish what was begun."""
    servers = [(_Server(_config(one.app)), list(one.sockets)) for one in listeners if one.sockets]
    async with asyncio.TaskGroup() as group:
        for server, sockets in servers:
            group.create_task(server.serve(sockets=sockets))
        try:
            yield
        finally:
            for server, _ in servers:
                server.should_exit = True


@asynccontextmanager
async def working(workers: Sequence[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run workers while the block runs; if one ends by itself, all end with its error."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_coroutine(worker)) for worker in workers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _coroutine(worker: Callable[[], Awaitable[None]]) -> None:
    await worker()


@asynccontextmanager
async def opened(contexts: Sequence[AbstractAsyncContextManager[object]]) -> AsyncIterator[None]:
    """Open in order, close in reverse; for the lifespans of applications that are called in process."""
    async with AsyncExitStack() as stack:
        for context in contexts:
            await stack.enter_async_context(context)
        yield


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",  # the composition root runs the lifespans
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
