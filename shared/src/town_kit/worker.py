"""The worker of a service: its relay, its consumers and its jobs, each restarted with back-off when it fails.

The urgent jobs (緊急情報の便) may run in a process of their own, so that no ordinary work stands before them; they are
woken by the commit that has work for them.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import structlog

from town_kit.housekeeping import standard_jobs
from town_kit.messaging import notify
from town_kit.messaging.consumer import run_consumer
from town_kit.messaging.relay import run_relay
from town_kit.rush import QUIET, Rush
from town_kit.service import Job, Service

log = structlog.get_logger(__name__)
LONGEST_PAUSE = 30.0
FINISH_SECONDS = 12.0  # longer than a call to a counterpart may take, shorter than the supervisor waits


async def work(service: Service, *, ordinary: bool = True, urgent: bool = True, rush: Rush = QUIET) -> None:
    """Run the worker of ``service`` until cancelled; its database pool and resources are opened and closed here.

    Args:
        service: whose work it is.
        ordinary: run the relay, the consumers and every job that is not urgent.
        urgent: run the urgent jobs.
        rush: tells when ordinary work shall wait for callers of the same machine.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.database.running())
        for resource in service.resources:
            await stack.enter_async_context(resource())
        async with asyncio.TaskGroup() as tasks:
            if ordinary:
                tasks.create_task(keep_running(f"{service.name}.relay", lambda: run_relay(service, rush)))
                for consumer in service.consumers:
                    tasks.create_task(keep_running(consumer.name, partial(run_consumer, service, consumer, rush)))
                for job in (*standard_jobs(service), *ordinary_jobs(service)):
                    tasks.create_task(run_job(service, job, rush=rush))
            if urgent and urgent_jobs(service):
                tasks.create_task(_run_urgent(service))


def urgent_jobs(service: Service) -> list[Job]:
    """The jobs of the emergency lane."""
    return [job for job in service.jobs if job.urgent]


def ordinary_jobs(service: Service) -> list[Job]:
    """The jobs that may wait for the emergency lane."""
    return [job for job in service.jobs if not job.urgent]


async def _run_urgent(service: Service) -> None:
    due = {job.name: asyncio.Event() for job in urgent_jobs(service)}

    def wake() -> None:
        for event in due.values():
            event.set()

    async with notify.listening(service.database, notify.URGENT_CHANNEL, wake), asyncio.TaskGroup() as tasks:
        for job in urgent_jobs(service):
            tasks.create_task(run_job(service, job, due[job.name]))


async def keep_running(name: str, start: Callable[[], Awaitable[None]]) -> None:
    """Start a long-running part again when it fails, waiting longer each time (with jitter)."""
    pause = 0.2
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await start()
        except Exception:
            log.exception("worker_part_failed", part=name)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = 0.2
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        pause = min(pause * 2, LONGEST_PAUSE)


async def run_job(service: Service, job: Job, due: asyncio.Event | None = None, *, rush: Rush = QUIET) -> None:
    """Run a job for ever: at once again while it finds work, else after ``every``; after a failure with back-off.

    ``due``, set by anybody, ends a pause; no run begins in a ``rush``. A cancellation lets a run that has begun finish
    first: one cut off between sending a message and marking it would send it again after every restart.
    """
    woken = due or asyncio.Event()
    pause = job.every
    while True:
        await rush.over()
        try:
            done = await _to_its_end(job.run())
            pause = timedelta(0) if done else job.every
        except Exception:
            log.exception("job_failed", service=service.name, job=job.name)
            pause = min(max(pause * 2, timedelta(seconds=0.5)), timedelta(seconds=LONGEST_PAUSE))
        await notify.wait(woken, pause.total_seconds())


async def _to_its_end(running: Awaitable[int]) -> int:
    """Await it; a cancellation meanwhile waits for its end, at most ``FINISH_SECONDS``."""
    task = asyncio.ensure_future(running)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=FINISH_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
